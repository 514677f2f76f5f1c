"""The readers by name, and the choice among them by looking at the content."""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.jsonl import read_jsonl
from kcx_jax.corpora.record import Record


def choose_reader(path: str | Path) -> str:
    """The name of the reader that fits the content of `path`."""
    return "jsonl"


def read_records(path: str | Path, reader: str = "auto", language: str | None = None) -> Iterator[Record]:
    """The records of a corpus file, as a stream."""
    return read_jsonl(path)
