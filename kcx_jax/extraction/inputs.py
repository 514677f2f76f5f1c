"""Texts to extract from, out of a stream of lines: JSON Lines or plain text."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError


def read_texts(lines: Iterable[tuple[int, str]], name: str) -> Iterator[Record]:
    """Records from numbered lines. `name` stands for the stream in messages.

    When the first line that is not blank starts with "{", every line is a JSON object with "text" and, if
    they are there, "id" and the other keys of a record. Otherwise every line is a text. Blank lines are
    skipped; where there is no id, the line's number is one. Raises `KcxError` naming the line for a bad one.
    """
    filled = ((number, line) for number, line in lines if line.strip())
    first = next(filled, None)
    if first is None:
        return
    in_json = first[1].lstrip().startswith("{")
    for number, line in chain([first], filled):
        if in_json:
            yield _record(line, number, f"{name}:{number}")
        else:
            yield Record(str(number), "und", line)


def _record(line: str, number: int, where: str) -> Record:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise KcxError(f"{where}: not JSON: {error or 'nested too deeply'}") from error
    if isinstance(value, dict):
        value.setdefault("id", str(number))
    return Record.from_json(value, where)
