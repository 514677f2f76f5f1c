"""JSON objects of a file, however it lays them out: one a line, an array, or pretty-printed over several lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.jsonl import read_json_lines, refuse_constant
from kcx_jax.corpora.lines import read_lines, read_text
from kcx_jax.errors import KcxError

_SPACE = " \t\r\n"


def read_json_items(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield ("file:line", value) for each line of JSON Lines, each element of an array, or each object of a document.

    JSON Lines are read as a stream, the other layouts as a whole; what is no file (a pipe) can be read once, and holds
    lines. Raises `KcxError` naming file and line for what is not JSON, nests too deeply, or stands where a value or a
    comma should.
    """
    if not path.is_file():
        yield from read_json_lines(path)
        return
    first = next((line for _, line in read_lines(path) if line.strip()), "")
    yield from _Document(path).items() if _opens_document(first) else read_json_lines(path)


def _opens_document(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return line.lstrip().startswith("[")
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


class _Document:
    """A JSON text that is read from value to value, so that each is named by its line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = read_text(path).removeprefix("\ufeff")
        self.position, self.line, self._counted = 0, 1, 0
        self._decoder = json.JSONDecoder(parse_constant=refuse_constant)

    def items(self) -> Iterator[tuple[str, Any]]:
        """The elements of an array, or the values that follow each other; their place and their value."""
        if self._next() != "[":
            while self._next():
                yield self._value()
            return
        self.position += 1
        if self._next() != "]":
            yield self._value()
            while self._next() == ",":
                self.position += 1
                self._next()
                yield self._value()
        if self._next() != "]":
            raise self._error("the array does not go on with a comma and does not end")
        self.position += 1
        if self._next():
            raise self._error("something follows the end of the array")

    def _next(self) -> str:
        """The next character that is no space ("" at the end), which is not passed over."""
        while self.position < len(self.text) and self.text[self.position] in _SPACE:
            self.position += 1
        self.line += self.text.count("\n", self._counted, self.position)
        self._counted = self.position
        return self.text[self.position : self.position + 1]

    def _value(self) -> tuple[str, Any]:
        try:
            value, self.position = self._decoder.raw_decode(self.text, self.position)
        except json.JSONDecodeError as error:
            self.line = error.lineno
            raise self._error(f"{error.msg} (column {error.colno})") from error
        except (ValueError, RecursionError) as error:
            raise self._error(str(error) or "nested too deeply") from error
        return f"{self.path}:{self.line}", value

    def _error(self, problem: str) -> KcxError:
        return KcxError(f"{self.path}:{self.line}: not JSON: {problem}")
