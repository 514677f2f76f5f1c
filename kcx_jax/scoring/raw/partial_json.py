"""JSON as models write it: in prose or a code fence, cut off, with single quotes or a comma too many.

What is complete is kept. An object that is an item of a list is complete when it is closed; lists, and objects
that hold lists, keep the complete items they have.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from kcx_jax.schema import Problem
from kcx_jax.schema.answers import ProblemKind

MAX_DEPTH = 32
MAX_PROBLEMS = 20  # one is enough to flag an answer; the first few say why
MAX_VALUES = 1_000  # that follow one another are one answer
MAX_STARTS = 5  # so many brackets in the prose are tried as the beginning of the answer

_TOKEN = re.compile(
    r"""\s*+(?:
        (?P<string> "(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' )
      | (?P<open> [{\[] )
      | (?P<close> [}\]] )
      | (?P<mark> [,:] )
      | (?P<word> [^\s"'{}\[\],:]++ )
      | (?P<broken> ["'] )
    )""",
    re.DOTALL | re.VERBOSE,
)
_WORDS = {"null": None, "None": None, "true": True, "True": True, "false": False, "False": False}
_FENCE = re.compile(r"```[A-Za-z]*+\s*+(?=[{\[])")
_BETWEEN = re.compile(r"[\s,;]*+(?:```[\s,;]*+(?:```[A-Za-z]*+\s*+)?)?")  # two values that are one answer
_THOUGHT_END = "</think>"


@dataclass(frozen=True)
class PartialJson:
    """What could be read (None: no JSON at all), and what was wrong with it."""

    value: Any
    problems: tuple[Problem, ...] = ()


def read_partial_json(text: str) -> PartialJson:
    """The JSON value that a reply holds: behind a thinking block, in a code fence or in prose.

    Values on lines of their own are one answer; one that stands behind prose is a problem, and not read.
    """
    text, thought = without_thought(text)
    if thought is not None:
        return PartialJson(None, (thought,))
    fence = _FENCE.search(text)
    at = fence.end() if fence else _next_bracket(text, 0)
    best: PartialJson | None = None
    for _ in range(MAX_STARTS):
        if at is None:
            break
        reading = _Reading(text, at)
        found = reading.read()
        if _is_answer(found.value):
            return _with_the_rest(text, reading.end, found)
        best = best or found
        at = _next_bracket(text, reading.end)
    return best or PartialJson(None, (Problem("syntax", "there is no JSON in the answer", 0),))


def _with_the_rest(text: str, at: int, found: PartialJson) -> PartialJson:
    """`found`, which ends at `at`, and the values that follow it."""
    value, problems = found.value, list(found.problems)
    joined = 1
    while (start := _next_bracket(text, at)) is not None:
        reading = _Reading(text, start)
        more = reading.read()
        if more.value and _is_answer(more.value):
            if joined == MAX_VALUES or not _BETWEEN.fullmatch(text, at, start):
                problems.append(
                    Problem("trailing_text", "a further answer behind the first was not read", start)
                )
                break
            value = _joined(value, more.value)
            joined += 1
            problems += more.problems[: MAX_PROBLEMS - len(problems)]
        at = reading.end
    return PartialJson(value, tuple(problems))


def without_thought(text: str) -> tuple[str, Problem | None]:
    """The text behind a thinking block; a problem where that block never ends."""
    end = text.rfind(_THOUGHT_END)
    if end >= 0:
        return text[end + len(_THOUGHT_END) :], None
    if text.lstrip().startswith("<think>"):
        return "", Problem("truncated", "the answer ends inside its thinking block", len(text))
    return text, None


def _next_bracket(text: str, at: int) -> int | None:
    found = re.compile(r"[{\[]").search(text, at)
    return found.start() if found else None


def _is_answer(value: Any) -> bool:
    """Whether it looks like an answer rather than a bracket in prose, such as [1]."""
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and (not value or isinstance(value[0], str | dict | list))


class _Reading:
    """One value, from an opening bracket on; no recursion, so no nesting is too deep to survive."""

    def __init__(self, text: str, start: int) -> None:
        self.text, self.end = text, start
        self.problems: list[Problem] = []
        self._stack: list[
            tuple[Any, str | None]
        ] = []  # open containers, with the key that waits for its value
        self._root: Any = None

    def read(self) -> PartialJson:
        """Read to the closing bracket, or to where the text ends."""
        while True:
            match = _TOKEN.match(self.text, self.end)
            if match is None or match["broken"]:
                self._close_all("the answer ends before its brackets close", "truncated")
                break
            self.end = match.end()
            if match["open"] and len(self._stack) == MAX_DEPTH:
                self._close_all("brackets inside one another, deeper than any answer", "too_deep")
                break
            self._take(match)
            if not self._stack:
                break
        return PartialJson(self._root, tuple(self.problems))

    def _take(self, match: re.Match[str]) -> None:
        if match["open"]:
            self._stack.append(({} if match["open"] == "{" else [], None))
        elif match["close"]:
            self._close(match["close"])
        elif match["mark"]:
            self._mark(match["mark"])
        elif match["string"]:
            self._put(_unquoted(match["string"]), is_string=True)
        else:
            self._word(match["word"])

    def _close(self, bracket: str) -> None:
        value, key = self._stack[-1]
        if (bracket == "}") != isinstance(value, dict):
            self._complain(f"{bracket} closes nothing")
            return
        if key is not None:
            self._complain(f"the key {key[:40]!r} has no value")
        self._stack.pop()
        if self._stack:
            self._put(value)
        else:
            self._root = value

    def _mark(self, mark: str) -> None:
        value, key = self._stack[-1]
        if mark == "," and isinstance(value, dict) and key is not None:
            self._complain(f"the key {key[:40]!r} has no value")
            self._stack[-1] = value, None

    def _word(self, word: str) -> None:
        if word in _WORDS:
            self._put(_WORDS[word])
            return
        try:
            self._put(float(word) if len(word) < 40 else word)
        except ValueError:
            self._complain(f"{word[:40]!r} stands without quotes")

    def _put(self, value: Any, is_string: bool = False) -> None:
        """Put a complete value into the innermost container."""
        container, key = self._stack[-1]
        if isinstance(container, list):
            container.append(value)
        elif key is None and is_string:
            self._stack[-1] = container, value
        elif key is None:
            self._complain("a value without a key")
        else:
            container[key] = _both(container[key], value) if key in container else value
            self._stack[-1] = container, None

    def _close_all(self, detail: str, kind: ProblemKind) -> None:
        """Close what is open, from the inside: an object in a list is an item, and incomplete."""
        self._complain(detail, kind)
        while self._stack:
            value, _ = self._stack.pop()
            if not self._stack:
                self._root = value
                return
            outer = self._stack[-1][0]
            if isinstance(value, list) or isinstance(outer, dict):
                self._put(value)

    def _complain(self, detail: str, kind: ProblemKind = "syntax") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(kind, detail, self.end))


def _both(before: Any, after: Any) -> list[Any]:
    """What is said twice under one key: a list of both; `before` itself, if it is one, gets longer."""
    listed: list[Any] = before if isinstance(before, list) else [before]
    listed.extend(after if isinstance(after, list) else [after])
    return listed


def _joined(before: Any, after: Any) -> Any:
    """Two answers that follow one another: objects by their keys, also those in a wrapper; else a list of both."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return _both(before, after)
    for key, value in after.items():
        if key not in before:
            before[key] = value
        elif _holds_lists(before[key]) and _holds_lists(value):
            before[key] = _joined(before[key], value)
        else:
            before[key] = _both(before[key], value)
    return before


def _holds_lists(value: Any) -> bool:
    """Whether it is an object of types with their mentions, rather than an item."""
    return isinstance(value, dict) and all(isinstance(each, list) for each in value.values())


def _unquoted(token: str) -> str:
    inner = token[1:-1]
    if token[0] == "'":
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        return inner  # an escape that JSON does not know stands for itself
