"""A benchmark of a config -> benchmarks with one file and one language each, everything about them written out."""

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from kcx_jax.corpora import Benchmark, Record, choose_reader, read_records
from kcx_jax.corpora.catalogue import find_benchmark
from kcx_jax.corpora.readers.registry import READERS
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.runs.config import BenchmarkSettings, EvaluateConfig
from kcx_jax.schema import TASKS, Entity, Task
from kcx_jax.scoring import MODES
from kcx_jax.scoring.tally import is_annotated

_TAG = "{language}"
Found = TypeVar("Found")


def resolved(config: EvaluateConfig, data: str | None = None) -> EvaluateConfig:
    """The config with every benchmark written out; `data` is where the catalogue's are, if the config does not say.

    Files that are not there or cannot be read stay as they are named: they are told when it runs. Raises `UsageError`
    for a benchmark, a split or a language that there is not, and for a task that its mode does not count.
    """
    root = config.data or data or "."
    benchmarks = tuple(one for each in config.benchmarks for one in _written_out(each, Path(root)))
    names = [each.name for each in benchmarks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"benchmarks with the same name: {', '.join(twice)}; put {_TAG} into it, or rename one"
        )
    for each in benchmarks:
        try:
            MODES[each.mode or config.mode].check_tasks(each.tasks or ())
        except UsageError as error:
            raise UsageError(
                f"benchmark {each.name}: {error}. Give it a mode of its own, or name as tasks those to ask for"
            ) from error
    return config.model_copy(update={"benchmarks": benchmarks, "data": root})


def resolve_one(settings: BenchmarkSettings, data: str | None = None) -> tuple[BenchmarkSettings, str]:
    """A benchmark of one file, written out, and where the catalogue's are. Raises as `resolved`."""
    root = data or "."
    found = list(_written_out(settings, Path(root)))
    if len(found) != 1:
        raise UsageError(f"benchmark {settings.name}: one file is needed, and it names {len(found)}")
    return found[0], root


def location(settings: BenchmarkSettings, path: str, data: str | None) -> Path:
    """Where a path of a benchmark is: in the catalogue's folder below `data`, or as it stands."""
    return _folder(settings, Path(data or ".")) / path


def _folder(settings: BenchmarkSettings, root: Path) -> Path:
    return Path() if settings.catalogue is None else root / settings.catalogue


def _written_out(settings: BenchmarkSettings, root: Path) -> Iterator[BenchmarkSettings]:
    entry = None if settings.catalogue is None else find_benchmark(settings.catalogue)
    if entry is None and settings.path is None:
        raise UsageError(f"benchmark {settings.name}: name its path, or what the catalogue calls it")
    for language, part in _variants(settings, entry):
        path = _path(settings, entry, language, part)
        names = {_TAG: language, "{part}": part}
        fields: dict[str, Any] = {"languages": (), "path": path, "name": _filled(settings.name, names)}
        if language and _TAG not in settings.name and _several(settings.languages, entry):
            fields["name"] += f"-{language}"
        if part and "{part}" not in settings.name:
            fields["name"] += f"-{part}"
        for key in ("published", "train"):
            fields[key] = getattr(settings, key) and _filled(getattr(settings, key), names)
        fields["train"] = fields["train"] or _training_path(entry, settings.split, language, part)
        if language:
            fields["language"] = language
        for file, tail in _files(_folder(settings, root), path):
            named = fields | {"path": file, "name": fields["name"] + tail}
            yield _with_reading(settings.model_copy(update=named), entry, root)


def _variants(settings: BenchmarkSettings, entry: Benchmark | None) -> Iterator[tuple[str, str]]:
    """Languages and parts that have files of their own ("": the only one)."""
    template = settings.path or _template(settings, entry)
    languages: Sequence[str] = ("",)
    if settings.languages or _TAG in template:
        languages = settings.languages or (entry.languages if entry else ())
        if not languages:
            raise UsageError(f"benchmark {settings.name}: {_TAG} stands in its path; name its languages")
        if _TAG not in template:
            raise UsageError(f"benchmark {settings.name}: all languages are in one file; leave languages out")
        if entry and (unknown := [each for each in languages if each not in entry.languages]):
            known = ", ".join(entry.languages)
            raise UsageError(f"benchmark {settings.name}: no language {', '.join(unknown)}; it has {known}")
    elif entry and len(entry.languages) == 1 and settings.language is None:
        languages = entry.languages
    parts = entry.parts if entry and "{part}" in template else ()
    return product(languages, parts or ("",))


def _template(settings: BenchmarkSettings, entry: Benchmark | None) -> str:
    """The path of the catalogue's split."""
    assert entry is not None
    if settings.split not in entry.splits:
        listed = ", ".join(entry.splits) or "none"
        raise UsageError(
            f"benchmark {settings.name}: the catalogue knows no split {settings.split!r} of {entry.name}, but "
            f"{listed}. Name its file as path, below the folder {entry.name}"
        )
    path = entry.splits[settings.split].path
    if path is None:
        raise UsageError(
            f"benchmark {settings.name}: the catalogue does not know the files of {entry.name}. Name one as path, "
            f"below the folder {entry.name} ({entry.how_to_obtain()})"
        )
    return path


def _path(settings: BenchmarkSettings, entry: Benchmark | None, language: str, part: str) -> str:
    if settings.path is not None:
        return _filled(settings.path, {_TAG: language, "{part}": part})
    assert entry is not None
    return entry.path_of(settings.split, language, part) or ""


def _training_path(entry: Benchmark | None, split: str, language: str, part: str) -> str | None:
    if entry is None or "train" not in entry.splits or split == "train":
        return None
    return entry.path_of("train", language, part)


def _several(languages: Sequence[str], entry: Benchmark | None) -> bool:
    return len(languages or (entry.languages if entry else ())) > 1


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def _files(folder: Path, path: str) -> Iterator[tuple[str, str]]:
    """The files of a path in a folder, with what tells them apart in a name ("": there is one)."""
    if not re.search(r"[*?\[]", path):
        packed = f"{path}.gz"
        yield (packed if not (folder / path).exists() and (folder / packed).exists() else path), ""
        return
    found = sorted(glob.glob(path, root_dir=folder, recursive=True))
    for each in found:
        own = [part for part in Path(each).parts if part not in Path(path).parts]
        yield each, "-" + re.sub(r"[^\w.-]", "_", "-".join(own))
    if not found:
        yield path, ""


def _with_reading(settings: BenchmarkSettings, entry: Benchmark | None, root: Path) -> BenchmarkSettings:
    """The settings with reader, inventory and tasks named."""
    assert settings.path is not None
    place = location(settings, settings.path, str(root))
    reader = settings.reader or (entry.reader if entry else None) or _read_if_possible(place, choose_reader)
    if reader is not None and reader not in READERS:
        raise UsageError(f"benchmark {settings.name}: unknown reader {reader!r}; known: {', '.join(READERS)}")
    inventory = settings.inventory
    if inventory == "default":
        inventory = entry.inventory if entry else READERS[reader].inventory if reader else None
    fields: dict[str, Any] = {"reader": reader, "inventory": inventory}
    if settings.tasks is None and entry is not None:
        fields["tasks"] = entry.tasks
    elif settings.tasks is None and reader is not None:
        chosen = reader

        def tasks(path: Path) -> tuple[Task, ...]:
            records = read_records(path, chosen, settings.language, inventory=inventory)
            return _annotated(records)

        fields["tasks"] = _read_if_possible(place, tasks) or None
    return settings.model_copy(update=fields)


def _read_if_possible(place: Path, read: Callable[[Path], Found]) -> Found | None:
    """What `read` finds in a file; None where it is not there or cannot be read, which is told when it runs."""
    if not place.exists():
        return None
    try:
        return read(place)
    except UsageError:
        raise
    except KcxError:
        return None


def _annotated(records: Iterable[Record]) -> tuple[Task, ...]:
    """The tasks that any record is annotated for; mentions without a type of their own are no NER."""
    there: set[Task] = set()
    typed = untyped = arguments = False
    for record in records:
        there |= {task for task in TASKS if is_annotated(record, task)}
        untyped |= any(mention.type == Entity.__name__ for mention in record.entities or ())
        typed |= any(mention.type != Entity.__name__ for mention in record.entities or ())
        arguments |= any(event.arguments for event in record.events or ())
        if typed and arguments and len(there) == len(TASKS):
            break  # nothing more can be found
    if untyped and not typed:
        there.discard("ner")
    if not arguments:
        there.discard("eae")
    return tuple(task for task in TASKS if task in there)
