"""Text files, line by line or whole: UTF-8, gzip by suffix; line by line, a byte order mark and CRLF are tolerated."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kcx_jax.errors import KcxError


def open_binary(path: Path) -> IO[bytes]:
    """Open `path` for reading bytes, through gzip when the name ends in .gz; `KcxError` if it cannot be."""
    try:
        if path.is_dir():
            raise KcxError(f"{path} is a folder; name a file in it")
        return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end). Lines end in "\\n" or "\\r\\n" and in nothing else.

    Raises `KcxError` naming file and line when the bytes are not UTF-8 or the archive is damaged.
    """
    for number, line in try_lines(path):
        if isinstance(line, KcxError):
            raise line
        yield number, line


def try_lines(path: Path) -> Iterator[tuple[int, str | KcxError]]:
    """As `read_lines`, but a line that is not UTF-8 comes as its error, and the lines after it follow."""
    with open_binary(path) as handle:
        yield from decoded_lines(handle, path)


def decoded_lines(handle: IO[bytes], path: Path) -> Iterator[tuple[int, str | KcxError]]:
    """As `try_lines`, of a file that is open; `path` stands for it in messages."""
    number = 0
    try:
        for number, raw in enumerate(handle, 1):
            yield number, _decoded(raw, path, number)
    except (OSError, EOFError, zlib.error) as error:
        raise KcxError(f"{path}: damaged after line {number}: {error}") from error


def _decoded(raw: bytes, path: Path, number: int) -> str | KcxError:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return KcxError(f"{path}:{number}: not UTF-8 (byte {error.start} of the line)")
    if number == 1:
        line = line.removeprefix("\ufeff")
    return line.removesuffix("\n").removesuffix("\r")


def read_opening(path: Path, size: int) -> bytes:
    """The first `size` bytes, or all there are; `KcxError` when they cannot be read."""
    try:
        with open_binary(path) as handle:
            return handle.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise KcxError(f"{path}: damaged: {error}") from error


def read_text(path: Path) -> str:
    """The whole file, every character as it stands; `KcxError` when it cannot be read or is not UTF-8."""
    try:
        with open_binary(path) as handle:
            return handle.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise KcxError(f"{path}: not UTF-8 (byte {error.start})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise KcxError(f"{path}: damaged: {error}") from error
