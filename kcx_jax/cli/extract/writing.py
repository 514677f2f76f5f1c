"""Where results go: to a file that a stopped run continues, to stdout, or to a person's eyes."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kcx_jax.cli.labels import unspoken_labels

if TYPE_CHECKING:
    from kcx_jax.corpora import Record
    from kcx_jax.extraction import Result


def destination_of(
    output: Path | None, settings: Mapping[str, Any], overwrite: bool, show: bool
) -> "Destination":
    """What is written to `output`, or to stdout; with `show` people get coloured texts there.

    Raises as `ResumableOutput`.
    """
    from kcx_jax.extraction.resume import ResumableOutput

    file = None if output is None else ResumableOutput(output, settings, overwrite)
    return Destination(file, show)


class Destination:
    """``with Destination(...) as destination``: `remaining`, then `write` each, then `finish`."""

    def __init__(self, file: Any, show: bool):
        self._file, self._show = file, show

    @property
    def done(self) -> int:
        """Results that an earlier run has written."""
        return 0 if self._file is None else self._file.done

    def __enter__(self) -> "Destination":
        if self._file is not None:
            self._file.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.__exit__(*exc)

    def remaining(self, records: "Iterator[Record]") -> "Iterator[Record]":
        """The records that have no result yet."""
        return records if self._file is None else self._file.remaining(records)

    def write(self, result: "Result") -> None:
        """One result."""
        from kcx_jax.corpora.jsonl import json_line

        if self._file is not None:
            self._file.write(_row(result))
        elif not self._show:
            sys.stdout.buffer.write(json_line(_row(result)))
            sys.stdout.buffer.flush()
        if self._show:
            _print(result)

    def finish(self) -> None:
        """Put a finished file in its place."""
        if self._file is not None:
            self._file.finish()


def _row(result: "Result") -> dict[str, Any]:
    """A record with the code of its answers in its meta, and there the labels of classes that are called otherwise."""
    row = result.record.to_json()
    row["meta"] = {**result.record.meta, "answers": result.answers}
    if labels := unspoken_labels(result.schema):
        row["meta"]["labels"] = labels
    return row


def _print(result: "Result") -> None:
    from rich.console import Console

    from kcx_jax.cli.spans import render

    Console(highlight=False).print(render(result), soft_wrap=True)
