"""Records as JSON Lines: the format of this project, read and written as a stream."""

import contextlib
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from kcx_jax.corpora.lines import read_lines
from kcx_jax.corpora.record import ParallelRecord, Record
from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield ("file:line", value) for every line that is not blank; `KcxError` where a line is not JSON."""
    decoder = json.JSONDecoder(parse_constant=refuse_constant)  # made once: `json.loads` makes one a call
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = decoder.decode(line)
        except (ValueError, RecursionError) as error:
            raise KcxError(f"{where}: not JSON: {error or 'nested too deeply'}") from error
        yield where, value


def read_jsonl(path: str | Path) -> Iterator[Record]:
    """The records of a JSON Lines file, each checked; `KcxError` names file, line and key."""
    for where, value in read_json_lines(Path(path)):
        yield Record.from_json(value, where)


def read_parallel(path: str | Path) -> Iterator[ParallelRecord]:
    """The pairs of a JSON Lines file, each side checked; `KcxError` names file, line and key."""
    for where, value in read_json_lines(Path(path)):
        yield ParallelRecord.from_json(value, where)


def write_parallel(pairs: Iterable[ParallelRecord], path: str | Path, overwrite: bool = False) -> int:
    """Write pairs as JSON Lines, as `write_json_lines` does, and return how many."""

    def rows() -> Iterator[dict[str, Any]]:
        for pair in pairs:
            pair.source.check(f"pair {pair.id!r}, source")
            pair.target.check(f"pair {pair.id!r}, target")
            yield pair.to_json()

    return write_json_lines(rows(), Path(path), overwrite)


def write_json_lines(rows: Iterable[dict[str, Any]], path: Path, overwrite: bool) -> int:
    """Write one object a line and return how many; `KcxError` as `open_output` and `json_line` say."""
    count = 0
    with open_output(path, overwrite) as handle:
        for row in rows:
            handle.write(json_line(row))
            count += 1
    return count


@contextlib.contextmanager
def open_output(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """Open `path` for writing bytes, through gzip when the name ends in .gz.

    The file appears only when the block ends without an error; `KcxError` if it exists and `overwrite` is false.
    """
    with atomic_write(path, "wb", overwrite) as handle:
        if path.suffix != ".gz":
            yield handle
            return
        with gzip.GzipFile("", "wb", fileobj=handle, mtime=0) as packed:  # no name, no time: equal bytes
            yield packed  # type: ignore[misc]


def json_line(row: Mapping[str, Any]) -> bytes:
    """One line of a JSON Lines file, "\\n" included; `KcxError` naming the row's id for what JSON has not."""
    try:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise KcxError(f"record {row.get('id')!r} cannot be written as JSON: {error}") from error
    return escaped(line).encode("utf-8") + b"\n"


def escaped(text: str) -> str:
    """JSON text that UTF-8 can hold: it has no lone surrogates, and JSON's own escape keeps them."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which are no JSON (`ValueError`)."""
    raise ValueError(f"{name} is no JSON number")
