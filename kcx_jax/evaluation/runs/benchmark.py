"""The records and classes of a written-out benchmark, as every system of a run is asked about them."""

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record, read_records
from kcx_jax.corpora.catalogue import find_benchmark
from kcx_jax.corpora.documents import join_records
from kcx_jax.corpora.sampling import sample_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.runs.config import BenchmarkSettings
from kcx_jax.evaluation.runs.resolving import location
from kcx_jax.prompts import ExemplarPool
from kcx_jax.prompts.splitting import listed_concepts, restricted
from kcx_jax.schema import Concept, Entity, Schema, Task, load_schema
from kcx_jax.schema.ontology import schema_for
from kcx_jax.scoring.gold_schema import schema_of
from kcx_jax.scoring.tally import LAYER_OF_TASK, is_annotated


class NotThere(KcxError):
    """A benchmark cannot be run here: its file is not there, or not annotated."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as it is asked: `gold` in the order of its file, and the classes to ask for.

    `whole` is what `gold` was drawn from; `train` is its training file, None where none is known.
    """

    settings: BenchmarkSettings
    gold: tuple[Record, ...]
    whole: tuple[Record, ...]
    schema: Schema
    tasks: tuple[Task, ...]
    path: Path
    train: Path | None

    def schema_for(self, task: Task) -> Schema:
        """The classes that `task` is asked with."""
        classes = self.settings.classes
        return restricted(self.schema.for_task(task), task, classes) if classes else self.schema

    def gives_pair(self, task: Task) -> bool:
        """Whether prompts name the pair that a record asks about."""
        return self.settings.prompts.pair and task == "re"

    def asked(self, task: Task) -> list[Record]:
        """The gold records that are annotated for `task`."""
        return [record for record in self.gold if is_annotated(record, task)]

    def training_records(self) -> list[Record]:
        """The records of the training file. Raises `NotThere` where there is none."""
        settings = self.settings
        if self.train is None:
            raise NotThere(f"{settings.name}: no training file is known; name it as train")
        if not self.train.exists():
            raise NotThere(f"{settings.name}: the training file {self.train} is not there")
        return [_narrowed(record, settings) for record in _read(self.train, settings)]


def load_benchmark(settings: BenchmarkSettings, data: str | None, seed: int) -> Benchmark:
    """Read a written-out benchmark. Raises `NotThere` naming how to get what is missing, and as the readers do."""
    assert settings.path is not None
    path = location(settings, settings.path, data)
    if not path.exists():
        hint = ""
        if settings.catalogue is not None:
            hint = f"; {settings.catalogue} is from {find_benchmark(settings.catalogue).how_to_obtain()}"
        raise NotThere(f"{settings.name}: {path} is not there{hint}")
    gold = [_narrowed(record, settings) for record in _read(path, settings)]
    if settings.join > 1:
        gold = list(join_records(gold, settings.join))
    _check_ids(gold, path)
    whole = tuple(gold)
    if settings.limit is not None:
        gold = sample_records(gold, seed, count=settings.limit)
    tasks = tuple(task for task in settings.tasks or () if any(is_annotated(each, task) for each in gold))
    if not tasks:
        told = "is annotated for none of the tasks that are asked"
        if any(is_annotated(record, task) for record in whole for task in settings.tasks or ()):
            told = f"{told} in the {len(gold)} of {len(whole)} records that limit draws; raise it"
        raise NotThere(f"{settings.name}: {path} {told}")
    train = None
    if settings.train is not None:
        train = _packed(location(settings, settings.train, data))
    made = Benchmark(settings, tuple(gold), whole, _schema(settings, gold), tasks, path, train)
    made = dataclasses.replace(made, schema=_shown(made, seed))
    _check_classes(made)
    return made


def _read(path: Path, settings: BenchmarkSettings) -> list[Record]:
    return list(
        read_records(path, settings.reader or "auto", settings.language, inventory=settings.inventory)
    )


def _packed(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    return packed if not path.exists() and packed.exists() else path


def _narrowed(record: Record, settings: BenchmarkSettings) -> Record:
    """The record without what is of no class asked for, and without the layers of other tasks."""
    if not settings.classes:
        return record
    if settings.tasks is None or len(settings.tasks) != 1:
        raise UsageError(f"benchmark {settings.name}: classes go with one task: name it as tasks")
    layer = LAYER_OF_TASK[settings.tasks[0]]
    items = getattr(record, layer)
    if items is None:
        return record
    kept: Any = tuple(item for item in items if item.type in settings.classes)
    others: dict[str, Any] = {"relations": None, "events": None, "entities": record.entities}
    return dataclasses.replace(record, **others | {layer: kept})


def _check_ids(gold: Sequence[Record], path: Path) -> None:
    seen: set[str] = set()
    for record in gold:
        if record.id in seen:
            raise KcxError(f"{path}: the id {record.id!r} stands twice; answers are joined by it")
        seen.add(record.id)


def _schema(settings: BenchmarkSettings, gold: Sequence[Record]) -> Schema:
    if settings.schema_path is not None:
        return load_schema(Path(settings.schema_path))
    if settings.inventory is not None:
        return schema_for(settings.inventory, settings.schema_language)
    return schema_of(gold)


def _shown(benchmark: Benchmark, seed: int) -> Schema:
    """The schema with the descriptions and exemplars that the prompts are to show."""
    prompts, schema = benchmark.settings.prompts, benchmark.schema
    if prompts.descriptions and prompts.exemplars is None:
        return schema
    pool = ExemplarPool(benchmark.training_records()) if prompts.exemplars else None
    generator = random.Random(seed)

    def change(concept: Concept) -> Concept:
        exemplars = concept.exemplars
        if prompts.exemplars is not None:
            drawn = () if pool is None else pool.draw(concept, prompts.exemplars, benchmark.gold, generator)
            exemplars = drawn
        description = concept.description if prompts.descriptions else ""
        return dataclasses.replace(concept, description=description, exemplars=exemplars)

    return Schema(tuple(map(change, schema.concepts)), schema.declared)


def _check_classes(benchmark: Benchmark) -> None:
    """Refuse classes of gold that nobody is asked for: they would be missed by every system."""
    name = benchmark.settings.name
    for task in benchmark.tasks:
        known = {concept.name for concept in listed_concepts(benchmark.schema_for(task), task)}
        items = (item for record in benchmark.gold for item in getattr(record, LAYER_OF_TASK[task]) or ())
        used = {item.type for item in items}
        if unknown := sorted(used - known - {Entity.__name__}):
            raise UsageError(
                f"benchmark {name}: gold has classes that its schema lacks: {', '.join(unknown[:5])}. Give a "
                "schema with them, or name as classes those to ask for"
            )
        if unknown := sorted(set(benchmark.settings.classes) - known):
            raise UsageError(f"benchmark {name}: the schema has no class {', '.join(unknown)}")
