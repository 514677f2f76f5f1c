"""Reading a list of calls, ``[Name("text", role=[Name("text")]), ...]``, out of text nobody can trust.

A hand-written recursive descent of bounded depth over one token pattern: nothing is ever evaluated, and time
is linear in the text. After damage, reading goes on at the next thing that starts like an item *of the same
kind* (an entity inside a broken event is not an item of the list). Such a restart may lie inside what the
broken item took for a string, since a lost quote turns strings and code around. Two readings of the same
stretch of text differ only in whether they are inside a string, and of which quote, so restarts cost a
constant factor at most.

Where a dialect does not escape its strings (`Grammar.raw`), a string ends at the first quote that a bracket
or comma follows. No lost quote turns strings and code around then, so reading goes on where the damage was.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from kcx_jax.schema.answers import Problem, ProblemKind
from kcx_jax.schema.strings import unquote

MAX_DEPTH = 4  # brackets inside an item: event -> list of a role -> entity is 3
LONGEST_PERIOD = 200  # characters of what a runaway answer says over and over
MAX_RESTARTS = 10_000  # an answer broken more often than this is none

_TOKEN = re.compile(
    r"""\s*+(?P<start>)(?:
        "(?P<double> [^"\\]*+ (?:\\. [^"\\]*+)*+ )"
      | '(?P<single> [^'\\]*+ (?:\\. [^'\\]*+)*+ )'
      | (?P<call> [^\W\d]\w*+ ) \s*+ \(
      | (?P<keyword> [^\W\d]\w*+ ) \s*+ = \s*+
      | (?P<list> \[ )
      | (?P<close> [)\]] )
      | (?P<comma> , )
      | (?P<atom> [^\s,()\[\]"'=]++ )
    )""",
    re.DOTALL | re.VERBOSE,
)
# Where a raw string can end, or a new item shows that its end was lost.
_RAW_END = re.compile(
    r'"(?=\s*+[),\]])|(?<!\w)(?P<call>[^\W\d]\w*+)\s*+\(\s*+(?:\w++\s*+=\s*+)?"(?!\s*+[),\]])'
)
# Most mentions by far: one string without escapes. Read at once, comma included, for speed alone.
_MENTION = re.compile(
    r'\s*+(?P<call>[^\W\d]\w*+)\s*+\(\s*+(?:(?P<keyword>[^\W\d]\w*+)\s*+=\s*+)?"(?P<text>[^"\\]*+)"\s*+\)\s*+(?P<comma>,?+)'
)
_SPACE = re.compile(r"\s*+")
_ITEM_START = re.compile(r"(?<!\w)[^\W\d]\w*+(?=\s*+\()")


@dataclasses.dataclass(frozen=True)
class Grammar:
    """`assigned`: the list may follow ``result =`` or ``results =``. `raw`: double quotes, nothing escaped."""

    assigned: bool = False
    raw: bool = False


PLAIN = Grammar()
_ASSIGNMENT = re.compile(r"\s*+results?+\s*+=\s*+(?=\[)")
_FENCED_LIST = re.compile(r"```\w*+\s*+(?:results?+\s*+=\s*+)?\[")


@dataclasses.dataclass(slots=True)
class Call:
    """``name(arguments)`` at a position; an argument is (keyword or None, value)."""

    name: str
    position: int
    arguments: list[tuple[str | None, "Value"]]


def _as_call(mention: re.Match[str]) -> Call:
    """What `_MENTION` has matched."""
    return Call(mention["call"], mention.start("call"), [(mention["keyword"], mention["text"])])


@dataclasses.dataclass(slots=True)
class Atom:
    """A number or a bare name where a value stands."""

    text: str
    position: int


Value: TypeAlias = str | Call | Atom | list[Any]


class _BrokenError(Exception):
    """An item cannot be read on: why, where, and where to look for the next one (None: from its start)."""

    def __init__(self, detail: str, position: int, resume: int | None = None, kind: ProblemKind = "syntax"):
        self.kind = kind
        self.detail = detail
        self.position = position
        self.resume = resume


def _begins_assignment(text: str) -> bool:
    """Whether the text ends before ``results = [`` does."""
    return any(f"{name}=".startswith("".join(text.split())) for name in ("result", "results"))


def _period(text: str) -> int | None:
    """After how many characters the end of a text says the same again, if it does so eight times and more."""
    for period in range(1, LONGEST_PERIOD + 1):
        compared = max(8 * period, 64)
        end = text[-compared - period :]
        if len(end) == compared + period and end[period:] == end[:-period]:
            return period
    return None


def fits_raw(text: str) -> bool:
    """Whether a raw string gives back `text`: no quote in it may look like its end or like a new item."""
    end = _RAW_END.search(text + '")')
    return end is not None and end.start() == len(text)


def read_calls(
    text: str, kinds: Mapping[str, str], grammar: Grammar = PLAIN
) -> tuple[list[Call], list[Problem]]:
    """The complete calls of the list in `text`, in order, and what was wrong with the rest.

    `kinds`: kind of each known class name. Unknown names are read too; where to go on after damage is decided
    by known names only.
    """
    return _ListReader(text, kinds, grammar).read()


class _ListReader:
    def __init__(self, text: str, kinds: Mapping[str, str], grammar: Grammar):
        self.text = text
        self.kinds = kinds
        self.grammar = grammar
        self.kind: str | None = None  # of the latest known item
        self.restarts = 0
        self.calls: list[Call] = []
        self.problems: list[Problem] = []

    def read(self) -> tuple[list[Call], list[Problem]]:
        assignment = _ASSIGNMENT.match(self.text) if self.grammar.assigned else None
        start = assignment.end() if assignment else self._skip(0)
        position: int | None = start
        if self.text.startswith("[", start):
            position = start + 1
        elif self.grammar.assigned and _begins_assignment(self.text[start : start + 80]):
            position = len(self.text)
        elif start < len(self.text):
            position = self._restart(start)
            around = position is not None and position > start
            kind: ProblemKind = "leading_text" if around else "syntax"
            if fenced := _FENCED_LIST.match(self.text, start):
                position, kind = fenced.end(), "code_fence"
            self._report(kind, f"expected a list, found {self._shown(start)}", start)
        while position is not None:
            position = self._step(position)
        return self.calls, self.problems

    def _step(self, position: int) -> int | None:
        """Read one item and its separator, or the end; the position to go on from, or None at the end."""
        if (mention := _MENTION.match(self.text, position)) and mention["comma"]:
            self.kind = self.kinds.get(mention["call"], self.kind)
            self.calls.append(_as_call(mention))
            return mention.end()
        token = _TOKEN.match(self.text, position)
        if token and token.lastgroup == "close" and token["close"] == "]":
            rest = self._skip(token.end())
            if rest < len(self.text):
                kind: ProblemKind = "code_fence" if self.text.startswith("```", rest) else "trailing_text"
                self._report(kind, f"ignored {self._shown(rest)}", rest)
            return None
        start = token.start("start") if token else self._skip(position)
        if start == len(self.text):
            self._report_end("the text ends before the list does", start)
            return None
        try:
            return self._item(token, start)
        except _BrokenError as broken:
            after = max(start + 1, broken.position) if self.grammar.raw else start + 1
            resume = self._restart(broken.resume or after)
            at_end = resume is None and broken.position == len(self.text)
            if at_end:
                self._report_end(broken.detail, start)
            else:
                self._report(broken.kind, broken.detail, start)
            return resume

    def _item(self, token: re.Match[str] | None, start: int) -> int:
        if token and token.lastgroup == "call":
            self.kind = self.kinds.get(token["call"], self.kind)
        value, end = self._value(token, start, MAX_DEPTH)
        if not isinstance(value, Call):
            raise _BrokenError(f"expected Class(...), found {self._shown(start)}", start, resume=end)
        self.calls.append(value)
        separator = _TOKEN.match(self.text, end)
        if separator and separator.lastgroup == "comma":
            return separator.end()
        end = self._skip(end)
        if end == len(self.text) or self.text[end] == "]":
            return end
        raise _BrokenError(f"expected , or ] but found {self._shown(end)}", end, resume=end)

    def _value(self, token: re.Match[str] | None, position: int, depth: int) -> tuple[Value, int]:
        """The value that starts with `token`, and where it ends."""
        if self.grammar.raw:
            start = token.start("start") if token else self._skip(position)
            if self.text.startswith('"', start):
                return self._raw_string(start)
        if token is None:
            raise self._unexpected("a value", position)
        match token.lastgroup:
            case "double" | "single" as quotes:
                return unquote(token[quotes]), token.end()
            case "call":
                arguments, end = self._arguments(token.end(), ")", depth)
                return Call(token["call"], token.start("call"), arguments), end
            case "list":
                arguments, end = self._arguments(token.end(), "]", depth)
                return [value for _, value in arguments], end
            case "atom":
                if token.end() == len(self.text):  # the beginning of a longer word
                    raise self._unexpected("a value", token.end())
                return Atom(token["atom"], token.start("atom")), token.end()
        raise self._unexpected("a value", position)

    def _raw_string(self, start: int) -> tuple[str, int]:
        for end in _RAW_END.finditer(self.text, start + 1):
            if end["call"] is None:
                return self.text[start + 1 : end.start()], end.end()
            if end["call"] in self.kinds:
                raise _BrokenError("a string without its closing quote", end.start(), resume=end.start())
        raise _BrokenError("a string without its closing quote", len(self.text))

    def _arguments(self, position: int, close: str, depth: int) -> tuple[list[tuple[str | None, Value]], int]:
        """What stands between an opened bracket and `close`, and the position behind `close`."""
        if depth == 0:
            raise _BrokenError("brackets are nested too deeply", position, resume=position, kind="too_deep")
        arguments: list[tuple[str | None, Value]] = []
        while True:
            keyword: str | None = None
            value: Value
            if depth > 1 and (mention := _MENTION.match(self.text, position)):
                value, position = _as_call(mention), mention.start("comma")
            else:
                token = _TOKEN.match(self.text, position)
                if token and token["close"] == close:
                    return arguments, token.end()
                if token and close == ")" and token.lastgroup == "keyword":
                    keyword, position = token["keyword"], token.end()
                    token = _TOKEN.match(self.text, position)
                value, position = self._value(token, position, depth - 1)
            arguments.append((keyword, value))
            token = _TOKEN.match(self.text, position)
            if token and token["close"] == close:
                return arguments, token.end()
            if not (token and token.lastgroup == "comma"):
                broken = self._unexpected(f", or {close}", position)
                if isinstance(value, Atom) and not value.text[0].isdigit() and broken.kind == "syntax":
                    broken.kind, broken.detail = "unquoted", f"{value.text!r} is without quotes"
                raise broken
            position = token.end()

    def _unexpected(self, wanted: str, position: int) -> _BrokenError:
        position = self._skip(position)
        if position == len(self.text):
            return _BrokenError("the text ends inside an item", position)
        if self.text[position] in "\"'" and not _TOKEN.match(self.text, position):
            end = position if self.grammar.raw else len(self.text)
            return _BrokenError("a string without its closing quote", end)
        return _BrokenError(f"expected {wanted} but found {self._shown(position)}", position)

    def _restart(self, position: int) -> int | None:
        """Where the next item of the known kind starts, if there is one."""
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            self._report("syntax", "too much damage: the rest was not read", position)
            return None
        for start in _ITEM_START.finditer(self.text, position):
            kind = self.kinds.get(start.group())
            if kind is not None and self.kind in (None, kind):
                return start.start()
        return None

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def _report(self, kind: ProblemKind, detail: str, position: int) -> None:
        self.problems.append(Problem(kind, detail, position))

    def _report_end(self, detail: str, position: int) -> None:
        """The text ended too early."""
        if period := _period(self.text):
            shown = self._shown(len(self.text) - period)
            self._report("runaway", f"the text ends in {shown} over and over", position)
        else:
            self._report("truncated", detail, position)

    def _shown(self, position: int, width: int = 24) -> str:
        found = self.text[position : position + width]
        return repr(found) + ("..." if position + width < len(self.text) else "")
