"""The catalogue of benchmarks: what they are, where they come from, under which licence, read by what.

The entries are in ``benchmarks/*.yaml``, a file a task and family of languages.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from itertools import product
from typing import Any, Literal

from kcx_jax.errors import UsageError
from kcx_jax.schema import Task
from kcx_jax.schema.data_files import read_yaml

FOLDER = resources.files("kcx_jax.corpora") / "benchmarks"
UNKNOWN = "unknown"
"""What is shown for a fact that the catalogue does not have."""

_STRICT = {"extra": "forbid", "strict": False}


@dataclass(frozen=True)
class Split:
    """One split: its path in the repository, which may hold {language} and {part}, and how many units it has.

    A path that holds them stands for several files, and `size` is that of all.
    """

    __pydantic_config__ = _STRICT

    path: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. None, and nothing in a dictionary, means not known.

    Attributes:
        name: what the command line calls it; also the folder under a data root.
        title: what people call it.
        tasks: which of ner, re, ed and eae it annotates.
        languages: BCP 47 tags.
        parts: domains that have files of their own.
        folders: what stands for a language in the paths, where that is not its tag.
        licence: the annotation's.
        texts: what holds for the texts beside that, and where they are from.
        url: its repository or page.
        commit: of the repository, for `splits` and `sha256`.
        obtain: what to ask for, or where the files are, when they are not at `url`.
        reader: a name of `READERS`; None: no reader yet.
        inventory: whose labels they are in the ontology.
        unit: what the sizes count.
        splits: by name.
        sha256: path -> checksum of the whole file at `commit`.
        note: what else one should know.
    """

    __pydantic_config__ = _STRICT

    name: str
    title: str
    tasks: tuple[Task, ...]
    languages: tuple[str, ...]
    parts: tuple[str, ...] = ()
    folders: dict[str, str] = field(default_factory=dict)
    licence: str | None = None
    texts: str | None = None
    url: str | None = None
    commit: str | None = None
    obtain: str | None = None
    reader: str | None = None
    inventory: str | None = None
    unit: Literal["sentence", "document"] = "sentence"
    splits: dict[str, Split] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    note: str | None = None

    def path_of(self, split: str, language: str = "", part: str = "") -> str | None:
        """The path in the repository of one file; None where it is not known. `KeyError` for an unknown split."""
        path = self.splits[split].path
        if path is None:
            return None
        return path.replace("{language}", self.folders.get(language, language)).replace("{part}", part)

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield (split, path) of every file whose path is known."""
        for split in self.splits:
            each = product(self.languages, self.parts or ("",))
            paths = (self.path_of(split, language, part) for language, part in each)
            for path in dict.fromkeys(filter(None, paths)):
                yield split, path

    def how_to_obtain(self) -> str:
        """One phrase: where to get it, and what to ask for."""
        at = f"{self.url} at {self.commit}" if self.url and self.commit else self.url
        return "; ".join(filter(None, (at, self.obtain))) or UNKNOWN


@functools.cache
def catalogue() -> tuple[Benchmark, ...]:
    """Every benchmark, in the order of the files. Raises `UsageError` for an entry that is not right."""
    entries: list[Benchmark] = []
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name):
        entries += read_entries(file.read_text(encoding="utf-8"), file.name)
    names = [entry.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{FOLDER}: benchmarks that are there twice: {', '.join(sorted(twice))}")
    return tuple(entries)


def read_entries(text: str, where: str) -> list[Benchmark]:
    """The benchmarks of one file. Raises `UsageError` that names the file, the entry and the key."""
    import pydantic

    rows: Any = read_yaml(text, where)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{where}: a list of benchmarks is expected, each with its keys")
    adapter = pydantic.TypeAdapter(Benchmark)
    entries = []
    for number, row in enumerate(rows, 1):
        try:
            entries.append(adapter.validate_python(row))
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            entry = row.get("name", f"entry {number}")
            raise UsageError(f"{where}: {entry}: key {key}: {first['msg']}") from error
    return entries


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name. Raises `UsageError` that proposes the nearest ones."""
    import difflib

    entries = {entry.name: entry for entry in catalogue()}
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "`kcx data list` names them"
        raise UsageError(f"no benchmark is called {name!r}; {hint}")
    return entries[name]
