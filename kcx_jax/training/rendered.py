"""A corpus of a config -> its prompts, a part at a time: the file is read once for each prompt, and never held."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

from kcx_jax.corpora import ParallelRecord, Record, read_parallel, read_records
from kcx_jax.prompts import (
    Branch,
    ExemplarPool,
    PromptConfig,
    PromptTree,
    alignment_branch,
    extraction_branch,
    sample_alignment_trees,
    sample_trees,
)
from kcx_jax.schema import Schema, Task, load_schema
from kcx_jax.tokenizer import Tokenizer
from kcx_jax.training.config import DataSettings

PART = 1024  # samples of one prompt that are in memory at once


class Part(NamedTuple):
    """Samples of a prompt; parts of equal `number` follow each other and make up one tree."""

    number: int
    tree: PromptTree
    language: str  # of the records; of pairs, both


@dataclass(frozen=True)
class _Kind:
    """What a stage makes of the items of a corpus, records or pairs."""

    read: Callable[[DataSettings], Iterator[Any]]
    languages: Callable[[Any], tuple[str, ...]]
    records: Callable[[Any], tuple[Record, ...]]
    sample: Callable[..., tuple[PromptTree, ...]]
    branch: Callable[[Any, Schema, Task, PromptConfig], Branch]


def _extraction_branch(record: Record, schema: Schema, task: Task, config: PromptConfig) -> Branch:
    return extraction_branch(record, schema, task, config.pair and task == "re")


def _alignment_branch(pair: ParallelRecord, schema: Schema, task: Task, config: PromptConfig) -> Branch:
    return alignment_branch(pair, schema, task)


_KINDS = {
    "extract": _Kind(
        lambda data: read_records(data.path, data.reader, data.language),
        lambda record: (record.language,),
        lambda record: (record,),
        sample_trees,
        _extraction_branch,
    ),
    "align": _Kind(
        lambda data: read_parallel(data.path),
        lambda pair: (pair.source.language, pair.target.language),
        lambda pair: (pair.source, pair.target),
        sample_alignment_trees,
        _alignment_branch,
    ),
}


def rendered_parts(
    data: DataSettings, kind: str, config: PromptConfig, branches: int, tokenizer: Tokenizer
) -> Iterator[Part]:
    """The prompts of a corpus by task and language, languages in the order of their first record.

    Where prompts vary, each is drawn for `branches` records of its own; else all records of a language share one, or
    as many as the schema is split into. Raises as `sample_trees` and the corpus's reader.
    """
    made = _KINDS[kind]
    schema = load_schema(Path(data.schema_path))

    def read() -> Iterator[Any]:
        return islice(made.read(data), data.limit)

    pool = ExemplarPool(each for item in read() for each in made.records(item)) if config.exemplars else None
    groups = dict.fromkeys(made.languages(item) for item in read())
    numbers = count()
    for task in data.tasks:
        for group in groups:
            own = partial(_of_group, read, made.languages, group)
            language, key = " and ".join(group), f"{task}:{':'.join(group)}"

            def sample(items: Iterable[Any], start: int, task: Task = task, key: str = key) -> Any:
                return made.sample(
                    items,
                    schema,
                    task,
                    config,
                    f"{key}:{start}",
                    pool,
                    lambda text: len(tokenizer.encode(text)),
                )

            if config.varies:
                for start, chunk in zip(count(0, branches), _batches(own(), branches), strict=False):
                    for tree in sample(chunk, start):
                        yield Part(next(numbers), tree, language)
                continue
            for bare in sample((), 0):  # of such prompts none depends on its records
                number = next(numbers)
                for chunk in _batches(own(), PART):
                    below = tuple(made.branch(item, bare.schema, task, config) for item in chunk)
                    yield Part(number, replace(bare, branches=below), language)


def _of_group(
    read: Callable[[], Iterator[Any]], languages: Callable[[Any], tuple[str, ...]], group: tuple[str, ...]
) -> Iterator[Any]:
    return (item for item in read() if languages(item) == group)


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(items, size)):
        yield batch
