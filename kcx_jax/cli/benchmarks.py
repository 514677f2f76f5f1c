"""How ``kcx data`` shows the catalogue, and what of it is on disk."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Benchmark
from kcx_jax.corpora.catalogue import UNKNOWN
from kcx_jax.corpora.on_disk import FileState, files_on_disk
from kcx_jax.errors import KcxError

NO_READER = "no reader yet"


def benchmark_json(entry: Benchmark, root: Path | None) -> dict[str, Any]:
    """The entry as JSON values, null where unknown; with `root` also the state of its files."""
    row = asdict(entry)
    if root is not None:
        row["files"] = [
            {"path": str(file.path), "split": file.split, "state": file.state}
            for file in files_on_disk(entry, root)
        ]
    return row


def print_list(entries: list[Benchmark], root: Path | None) -> None:
    """One row a benchmark; with `root` what is there instead of where it comes from, and what to do for the rest."""
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "tasks", "languages", "splits", "licence", "reader")
    table.add_column("where" if root is None else "on disk", overflow="fold")
    for entry in entries:
        last = entry.how_to_obtain() if root is None else _summary(entry, files_on_disk(entry, root))
        table.add_row(
            entry.name,
            " ".join(entry.tasks),
            _shortened(entry.languages),
            split_sizes(entry) or UNKNOWN,
            entry.licence or UNKNOWN,
            entry.reader or NO_READER,
            last,
        )
    Console(highlight=False).print(table)


def print_entry(entry: Benchmark) -> None:
    """Everything the catalogue knows of one benchmark, a line a key."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in {
        "name": entry.name,
        "title": entry.title,
        "tasks": " ".join(entry.tasks),
        "languages": " ".join(entry.languages),
        "licence": entry.licence or UNKNOWN,
        "texts": entry.texts or UNKNOWN,
        "where": entry.how_to_obtain(),
        "reader": entry.reader or NO_READER,
        "inventory": entry.inventory or UNKNOWN,
        "splits": f"{split_sizes(entry) or UNKNOWN} ({entry.unit}s)",
        "note": entry.note or "",
    }.items():
        table.add_row(key, value)
    for split, path in entry.files():
        table.add_row(f"file of {split}", f"{path}  sha256 {entry.sha256.get(path, UNKNOWN)}")
    Console(highlight=False).print(table)


def verify(entries: list[Benchmark], root: Path) -> None:
    """Print the state of every file of the benchmarks. Raises `KcxError` if one is missing or wrong."""
    from rich.console import Console
    from rich.table import Table

    table = Table("benchmark", "split", "state")
    table.add_column("file", overflow="fold")
    bad = []
    for entry in entries:
        files = files_on_disk(entry, root)
        for file in files:
            table.add_row(entry.name, file.split, file.state, str(file.path))
        if any(file.state in ("missing", "wrong") for file in files):
            bad.append(f"{entry.name}: {_summary(entry, files)}")
    Console(highlight=False).print(table)
    if bad:
        raise KcxError("\n".join(bad))


def split_sizes(entry: Benchmark) -> str:
    """The splits with their sizes, "?" for one that is not known."""
    known = {name: "?" if split.size is None else f"{split.size:,}" for name, split in entry.splits.items()}
    return ", ".join(f"{name} {size}" for name, size in known.items())


def _summary(entry: Benchmark, files: list[FileState]) -> str:
    """How many files are in which state, and how to get them where they are not right."""
    counts = Counter(file.state for file in files)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    if counts.keys() & {"missing", "wrong"}:
        return f"{states}; get it from {entry.how_to_obtain()}"
    return states


def _shortened(languages: tuple[str, ...], most: int = 5) -> str:
    rest = len(languages) - most
    return " ".join(languages) if rest < 2 else f"{' '.join(languages[:most])} +{rest}"
