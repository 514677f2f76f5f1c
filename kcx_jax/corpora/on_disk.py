"""What of a benchmark is under a data root, laid out as ROOT/NAME/path, and whether it is what it should be."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from kcx_jax.corpora.catalogue import Benchmark
from kcx_jax.errors import UsageError

State = Literal["right", "wrong", "unchecked", "missing"]
"""right, wrong: by the checksum; unchecked: there, and no checksum is known."""


@dataclass(frozen=True)
class FileState:
    """One file of a benchmark, its split ("" where the files are not known) and its state."""

    path: Path
    split: str
    state: State


def files_on_disk(benchmark: Benchmark, root: Path) -> list[FileState]:
    """The state of every file of the benchmark under `root`; `path.gz` is as good as `path`.

    Where the catalogue does not know the files it is one state, of the folder: unchecked if something is in it.
    Raises `UsageError` if `root` is no folder.
    """
    if not root.is_dir():
        raise UsageError(
            f"{root}: the data root is no folder; --root or KCX_DATA names one with NAME/... in it"
        )
    folder = root / benchmark.name
    files = list(benchmark.files())
    if not files:
        there = folder.is_dir() and any(folder.iterdir())
        return [FileState(folder, "", "unchecked" if there else "missing")]
    return [_file_state(folder / path, split, benchmark.sha256.get(path)) for split, path in files]


def _file_state(path: Path, split: str, expected: str | None) -> FileState:
    packed = path.with_name(path.name + ".gz")
    found = path if path.is_file() else packed if packed.is_file() else None
    if found is None:
        return FileState(path, split, "missing")
    if expected is None:
        return FileState(found, split, "unchecked")
    return FileState(found, split, "right" if _sha256(found, found == packed) == expected else "wrong")


def _sha256(path: Path, packed: bool) -> str | None:
    """The checksum of the content; None for a damaged gzip file."""
    try:
        with gzip.open(path) if packed else path.open("rb") as handle:
            return hashlib.file_digest(cast(Any, handle), "sha256").hexdigest()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
