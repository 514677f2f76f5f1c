"""Reading a list of calls, ``[Name("text", role=[Name("text")]), ...]``, out of text nobody can trust.

A hand-written recursive descent of bounded depth over a compiled token pattern: nothing is ever evaluated, and
time is linear in the text. After damage, reading goes on at the next thing that starts like an item *of the same
kind* (an entity inside a broken event is not an item of the list). Such a restart may lie inside what the broken
item took for a string, since a lost quote turns strings and code around. Two readings of the same stretch of text
differ only in whether they are inside a string of either quote, so restarts cost a constant factor at most.
"""

import dataclasses
import re
from collections.abc import Mapping

from kcx_jax.schema.answers import Problem
from kcx_jax.schema.strings import unquote

MAX_DEPTH = 4  # brackets inside an item: event -> list of a role -> entity is 3

_SPACE = re.compile(r"\s*+")
_STRING = re.compile(
    r""""([^"\\]*+(?:\\.[^"\\]*+)*+)"|'([^'\\]*+(?:\\.[^'\\]*+)*+)'""",
    re.DOTALL,
)
_NAME = re.compile(r"[^\W\d]\w*+")
_ATOM = re.compile(r"""[^\s,()\[\]"'=]++""")
_ITEM_START = re.compile(r"(?<!\w)[^\W\d]\w*+(?=\s*+\()")

Value = "str | Call | Atom | list"


@dataclasses.dataclass(slots=True)
class Call:
    """``name(arguments)`` at a position; an argument is (keyword or None, value)."""

    name: str
    position: int
    arguments: list[tuple[str | None, Value]]


@dataclasses.dataclass(slots=True)
class Atom:
    """A number or a bare name where a value stands."""

    text: str
    position: int


class _BrokenError(Exception):
    """Reading cannot go on: why, where, and from where to look for the next item."""

    def __init__(self, detail: str, position: int, resume: int | None = None):
        self.detail = detail
        self.position = position
        self.resume = resume


def read_calls(text: str, kinds: Mapping[str, str]) -> tuple[list[Call], list[Problem]]:
    """The complete calls of the list in `text`, in order, and what was wrong with the rest.

    `kinds`: kind of each known class name. Unknown names are read too; where to go on after damage is decided by
    known names only.
    """
    return _ListReader(text, kinds).read()


class _ListReader:
    def __init__(self, text: str, kinds: Mapping[str, str]):
        self.text = text
        self.kinds = kinds
        self.kind: str | None = None  # of the latest known item
        self.calls: list[Call] = []
        self.problems: list[Problem] = []

    def read(self) -> tuple[list[Call], list[Problem]]:
        position: int | None = self._skip(0)
        if self.text.startswith("[", position):
            position += 1
        elif position < len(self.text):
            self._report("syntax", f"expected a list, found {self._shown(position)}", position)
            position = self._next_item(position)
        while position is not None:
            position = self._step(position)
        return self.calls, self.problems

    def _step(self, position: int) -> int | None:
        """Read one item and its separator, or the end; the position to go on from, or None at the end."""
        position = self._skip(position)
        if position == len(self.text):
            self._report("truncated", "the text ends before the list does", position)
            return None
        if self.text[position] == "]":
            rest = self._skip(position + 1)
            if rest < len(self.text):
                self._report("trailing_text", f"ignored {self._shown(rest)}", rest)
            return None
        try:
            return self._item(position)
        except _BrokenError as broken:
            resume = self._next_item(broken.resume or position + 1)
            at_end = broken.position == len(self.text) and resume is None
            self._report("truncated" if at_end else "syntax", broken.detail, position)
            return resume

    def _item(self, position: int) -> int:
        name = _NAME.match(self.text, position)
        if name and name.group() in self.kinds:
            self.kind = self.kinds[name.group()]
        value, end = self._value(position, MAX_DEPTH)
        if isinstance(value, Call):
            self.calls.append(value)
        else:
            self._report("syntax", f"expected Class(...), found {self._shown(position)}", position)
        end = self._skip(end)
        if self.text.startswith(",", end):
            return end + 1
        if end == len(self.text) or self.text[end] == "]":
            return end
        raise _BrokenError(f"expected , or ] but found {self._shown(end)}", end, resume=end)

    def _value(self, position: int, depth: int) -> tuple[Value, int]:
        """The value that starts at `position` (no space before it), and where it ends."""
        text = self.text
        if string := _STRING.match(text, position):
            double, single = string.groups()
            return unquote(single if double is None else double), string.end()
        if text.startswith(('"', "'"), position):
            raise _BrokenError("a string without its closing quote", len(text))
        if text.startswith("[", position):
            arguments, end = self._arguments(position + 1, "]", depth)
            return [value for _, value in arguments], end
        if name := _NAME.match(text, position):
            after = self._skip(name.end())
            if text.startswith("(", after):
                arguments, end = self._arguments(after + 1, ")", depth)
                return Call(name.group(), position, arguments), end
        if atom := _ATOM.match(text, position):
            return Atom(atom.group(), position), atom.end()
        if position == len(text):
            raise _BrokenError("the text ends inside an item", position)
        raise _BrokenError(f"expected a value, found {self._shown(position)}", position)

    def _arguments(self, position: int, close: str, depth: int) -> tuple[list[tuple[str | None, Value]], int]:
        """What stands between an opened bracket and `close`, and the position behind `close`."""
        if depth == 0:
            raise _BrokenError("brackets are nested too deeply", position, resume=position)
        arguments: list[tuple[str | None, Value]] = []
        position = self._skip(position)
        while not self.text.startswith(close, position):
            keyword, position = self._keyword(position) if close == ")" else (None, position)
            value, position = self._value(position, depth - 1)
            arguments.append((keyword, value))
            position = self._skip(position)
            if self.text.startswith(",", position):
                position = self._skip(position + 1)
            elif position == len(self.text):
                raise _BrokenError("the text ends inside an item", position)
            elif not self.text.startswith(close, position):
                raise _BrokenError(f"expected , or {close} but found {self._shown(position)}", position)
        return arguments, position + 1

    def _keyword(self, position: int) -> tuple[str | None, int]:
        name = _NAME.match(self.text, position)
        if name:
            after = self._skip(name.end())
            if self.text.startswith("=", after):
                return name.group(), self._skip(after + 1)
        return None, position

    def _next_item(self, position: int) -> int | None:
        for start in _ITEM_START.finditer(self.text, position):
            kind = self.kinds.get(start.group())
            if kind is not None and self.kind in (None, kind):
                return start.start()
        return None

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def _report(self, kind, detail: str, position: int) -> None:
        self.problems.append(Problem(kind, detail, position))

    def _shown(self, position: int, width: int = 24) -> str:
        found = self.text[position : position + width]
        return repr(found) + ("..." if position + width < len(self.text) else "") if found else "the end"
