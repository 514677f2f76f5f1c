"""A JSON Lines file of results that a stopped run continues.

Until all is written the lines stand in a file beside it, `NAME.partial`, whose first line holds the
settings of the run: only the same settings continue it, and one run at a time.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from kcx_jax.corpora import Record
from kcx_jax.corpora.jsonl import json_line
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write, lock_alone, refuse_existing


class ResumableOutput:
    """``with ResumableOutput(path, settings) as output``: `remaining`, then `write` each, then `finish`.

    Raises `KcxError` when `path` exists and `overwrite` is false, or cannot be written, and on entering while another
    run writes there; `UsageError` when it is a folder or compressed, and when a stopped run had other settings and
    left results (with `overwrite` it is started anew).
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], overwrite: bool = False):
        if path.suffix == ".gz":
            raise UsageError(f"{path}: results are written uncompressed; choose a name without .gz")
        if path.is_dir():
            raise UsageError(f"{path} is a folder; name a file in it")
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial")
        self.overwrite = overwrite
        self.done = 0  # results of an earlier run
        self._header = json_line({"settings": dict(settings)})
        refuse_existing(path, overwrite)

    def __enter__(self) -> "ResumableOutput":
        with ExitStack() as stack:
            try:
                self.partial.parent.mkdir(parents=True, exist_ok=True)
                self._handle: IO[bytes] = self.partial.open("ab")
                stack.push(self)
                self._take()
                self._continue()
            except OSError as error:
                raise self._cannot_write(error) from error
            stack.pop_all()  # open, and locked, until the run ends
        return self

    def __exit__(self, *exc: object) -> None:
        # All that is written is flushed: what fails here is what failed, and was raised, before.
        with suppress(OSError):
            self._handle.close()

    def _take(self) -> None:
        """Lock the partial file; `KcxError` where another run has it, or has just put it in its place."""
        lock_alone(
            self._handle, f"another run writes {self.partial}. Wait for its end, or choose another output."
        )
        locked = os.fstat(self._handle.fileno())
        if not self.partial.exists() or not os.path.samestat(self.partial.stat(), locked):
            raise KcxError(f"another run has just finished {self.path}. Choose another output.")

    def _continue(self) -> None:
        """Leave the partial file with a header and whole lines only."""
        if self.partial.stat().st_size:
            with self.partial.open("rb") as lines:
                header = lines.readline()
                if header == self._header:
                    size = len(header)
                    for line in lines:
                        if line.endswith(b"\n"):
                            size += len(line)
                            self.done += 1
                    os.truncate(self.partial, size)
                    return
            if holds_results(self.partial) and not self.overwrite:
                raise UsageError(
                    f"{self.partial} holds the results of a stopped run with other settings "
                    f"({_difference(header, self._header)}). Run it again as it was, or pass "
                    "--overwrite to start anew."
                )
        self._handle.truncate(0)  # a new file would not be the locked one
        self._handle.write(self._header)
        self._handle.flush()

    def remaining(self, records: Iterator[Record]) -> Iterator[Record]:
        """The records after those that are done; `KcxError` when those are not the ones that were done."""
        with self.partial.open("rb") as lines:
            lines.readline()
            for number, line in enumerate(lines, 1):
                known, record = json.loads(line), next(records, None)
                if record is None or (record.id, record.text) != (known["id"], known["text"]):
                    raise KcxError(
                        f"text {number} of the input is not the one that {self.partial} has a result for: "
                        "the input has changed. Give the same input, or remove that file to start anew."
                    )
                if number == self.done:
                    break
        yield from records

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one result; it is in the file when this returns."""
        try:
            self._handle.write(json_line(row))
            self._handle.flush()
        except OSError as error:
            raise self._cannot_write(error) from error

    def finish(self) -> None:
        """Put the finished file in its place."""
        with self.partial.open("rb") as lines, atomic_write(self.path, "wb", self.overwrite) as handle:
            lines.readline()
            while block := lines.read(1 << 20):
                handle.write(block)
        self.partial.unlink()

    def _cannot_write(self, error: OSError) -> KcxError:
        return KcxError(f"cannot write {self.partial}: {error.strerror or error}")


def holds_results(partial: Path) -> bool:
    """Whether the file of a stopped run has a whole result below its settings, or is no such file."""
    with partial.open("rb") as lines:
        header, first = lines.readline(), lines.readline()
    return first.endswith(b"\n") or (header.endswith(b"\n") and _settings(header) is None)


def _settings(header: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(header)["settings"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _difference(old_header: bytes, new_header: bytes) -> str:
    """The settings that differ, in words."""
    old, new = _settings(old_header), json.loads(new_header)["settings"]
    if old is None:
        return "its first line is no settings"
    return ", ".join(name for name in {**old, **new} if old.get(name) != new.get(name))
