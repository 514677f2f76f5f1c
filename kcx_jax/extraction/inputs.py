"""Texts to extract from: JSON Lines, plain text, Parquet."""

import json
import sys
from collections.abc import Iterable, Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, cast

from kcx_jax.corpora import Record
from kcx_jax.corpora.jsonl import json_line
from kcx_jax.corpora.lines import decoded_lines, open_binary, try_lines
from kcx_jax.corpora.readers.parquet import MAGIC, is_parquet, try_texts
from kcx_jax.errors import KcxError
from kcx_jax.extraction.reading import check_text

Item = Record | KcxError
"""A text, or what is wrong with the line where one should stand, naming it."""


def read_input(path: Path) -> Iterator[Item]:
    """The texts of a file, told by its content; `KcxError` at once when it cannot be opened."""
    if path.is_file() and is_parquet(path):
        return map(_checked, try_texts(path))
    if not path.is_fifo():  # which is opened once only
        open_binary(path).close()
    return read_texts(try_lines(path), str(path))


def read_stdin() -> Iterator[Item]:
    """The texts that come from stdin, told by what is first there."""
    # Not opened by a name: a socket has none, and a file would be read from its beginning again.
    name, stream = Path("stdin"), cast(BufferedReader, sys.stdin.buffer)
    if stream.peek(len(MAGIC)).startswith(MAGIC):
        yield from map(_checked, try_texts(name, BytesIO(stream.read())))
    else:
        yield from read_texts(decoded_lines(stream, name), str(name))


def read_texts(lines: Iterable[tuple[int, str | KcxError]], name: str) -> Iterator[Item]:
    """Records from numbered lines. `name` stands for the stream in messages.

    When the first line that is not blank starts with "{", every line is a JSON object with "text" and, if
    they are there, "id" and the other keys of a record. Otherwise every line is a text. Blank lines are
    skipped; where there is no id, the line's number is one.
    """
    in_json: bool | None = None
    for number, line in lines:
        if isinstance(line, KcxError):
            yield line
        elif line.strip():
            if in_json is None:
                in_json = line.lstrip().startswith("{")
            yield _record(line, f"{name}:{number}", number) if in_json else Record(str(number), "und", line)


def _record(line: str, where: str, number: int) -> Item:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        return KcxError(f"{where}: not JSON: {error or 'nested too deeply'}")
    if isinstance(value, dict):
        value.setdefault("id", str(number))
    try:
        record = Record.from_json(value, where)
    except KcxError as error:
        return error
    checked = _checked(record)
    return KcxError(f"{where}: {checked}") if isinstance(checked, KcxError) else checked


def _checked(item: Item) -> Item:
    """The text, unless it is none, or its meta could not be written beside what is found in it (NaN has no JSON)."""
    if isinstance(item, Record):
        try:
            check_text(item)
            json_line({"id": item.id, "meta": item.meta})
        except KcxError as error:
            return error
    return item
