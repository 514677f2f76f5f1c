"""Corpora of a config -> the token trees of its stages: one for each schema, task and language (pair)."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from kcx_jax.corpora import read_parallel, read_records
from kcx_jax.data import TokenTree, drop_overlong, encode_tree
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.prompts import ExemplarPool, PromptConfig, PromptTree, sample_alignment_trees, sample_trees
from kcx_jax.schema import load_schema
from kcx_jax.tokenizer import Tokenizer
from kcx_jax.training.config import DataSettings, StageSettings, TrainConfig
from kcx_jax.training.loop import Stage
from kcx_jax.training.mixture import Source, epoch_table, mix

Say = Callable[[str], None]
Item = TypeVar("Item")


def say_to_stderr(line: str) -> None:
    """Where lines go by default."""
    print(line, file=sys.stderr, flush=True)


def read_stages(config: TrainConfig, tokenizer: Tokenizer, max_positions: int, say: Say) -> list[Stage]:
    """The stages of a run with everything they learn from; `say` gets a line a corpus.

    Raises `KcxError` for a missing or damaged corpus, a record that is not annotated for a task asked for,
    and (unless `config.allow_overlong`) a sample longer than `max_positions`.
    """
    stages: list[Stage] = []
    before: list[Source] = []
    for number, stage in enumerate(config.stages, 1):
        name = f"stage {number} ({stage.kind})"
        own = [_source(data, stage, config, tokenizer, max_positions, say) for data in stage.data]
        mixed = mix(own, stage.temperature, before, stage.replay)
        before += own
        trees = [tree for source in mixed for tree in source.trees]
        if len(mixed) > 1:
            say(f"an epoch of {name} holds:")
            for line in epoch_table(mixed):
                say(f"  {line}")
        if config.packing == "tree" and min(len(trees), config.min_schemas_per_step) > config.rows_per_step:
            say(
                f"{name}: a step holds at most {config.rows_per_step} of its {len(trees)} different prompts, one a "
                f"row (min_schemas_per_step is {config.min_schemas_per_step}); more need a larger rows_per_step"
            )
        stages.append(Stage(name, trees, stage.epochs, stage.steps, stage.learning_rate))
    return stages


def _source(
    data: DataSettings,
    stage: StageSettings,
    config: TrainConfig,
    tokenizer: Tokenizer,
    max_positions: int,
    say: Say,
) -> Source:
    encoded = _fitting(data, stage, config, tokenizer, max_positions, say)
    kept, dropped = drop_overlong(encoded, max_positions, config.allow_overlong)
    source = Source(data.path, tuple(kept), data.weight)
    if not source.samples:
        raise KcxError(f"{data.path}: no sample to learn from.")
    left_out = f", {dropped} left out as longer than {max_positions} tokens" if dropped else ""
    say(f"{data.path}: {source.samples} samples for {', '.join(data.tasks)}{left_out}")
    return source


def _fitting(
    data: DataSettings,
    stage: StageSettings,
    config: TrainConfig,
    tokenizer: Tokenizer,
    max_positions: int,
    say: Say,
) -> list[TokenTree]:
    """The trees of a corpus, the schema split into class groups where samples would else not fit the model.

    Texts that take more than half of the positions by themselves are left to `drop_overlong`.
    """
    made = _alignment if stage.kind == "align" else _extraction
    prompts = data.prompts.config(config.seed)
    while True:
        try:
            trees = [
                encode_tree(tokenizer, tree, language)
                for tree, language in made(data, prompts, config.branches, tokenizer)
            ]
        except UsageError as error:
            raise UsageError(f"{data.path}: {error}") from error
        excess = _excess(trees, max_positions)
        if not excess:
            return trees
        limit = (prompts.max_tokens or max(len(tree.prefix) for tree in trees)) - excess
        if limit < 1:
            return trees
        say(
            f"{data.path}: the schema is split into class groups of at most {limit} tokens, so that every sample "
            f"fits the model's {max_positions} positions"
        )
        prompts = replace(prompts, max_tokens=limit)


def _excess(trees: Iterable[TokenTree], max_positions: int) -> int:
    """By how many tokens the longest sample exceeds the model's positions, long texts left aside."""
    lengths = (
        len(tree.prefix) + branch.inputs
        for tree in trees
        for branch in tree.branches
        if branch.inputs <= max_positions // 2
    )
    return max(0, max(lengths, default=0) - max_positions)


def _extraction(
    data: DataSettings, config: PromptConfig, branches: int, tokenizer: Tokenizer
) -> Iterator[tuple[PromptTree, str]]:
    """The trees of a corpus with the language of their records; where its prompts vary, each tree is drawn for
    `branches` records of its own.
    """
    schema = load_schema(Path(data.schema_path))
    records = list(islice(read_records(data.path, data.reader, data.language), data.limit))
    pool = ExemplarPool(records) if config.exemplars else None
    for task in data.tasks:
        for group in _by(records, lambda record: record.language):
            language = group[0].language
            size = branches if config.varies else len(group)
            for start in range(0, len(group), size):
                key, chunk = f"{task}:{language}:{start}", group[start : start + size]
                for tree in sample_trees(chunk, schema, task, config, key, pool, _counter(tokenizer)):
                    yield tree, language


def _alignment(
    data: DataSettings, config: PromptConfig, branches: int, tokenizer: Tokenizer
) -> Iterator[tuple[PromptTree, str]]:
    """As `_extraction`, for pairs of records."""
    schema = load_schema(Path(data.schema_path))
    pairs = list(islice(read_parallel(data.path), data.limit))
    pool = (
        ExemplarPool(side for pair in pairs for side in (pair.source, pair.target))
        if config.exemplars
        else None
    )
    for task in data.tasks:
        for group in _by(pairs, lambda pair: (pair.source.language, pair.target.language)):
            source, target = group[0].source.language, group[0].target.language
            size = branches if config.varies else len(group)
            for start in range(0, len(group), size):
                key, chunk = f"{task}:{source}:{target}:{start}", group[start : start + size]
                trees = sample_alignment_trees(chunk, schema, task, config, key, pool, _counter(tokenizer))
                for tree in trees:
                    yield tree, f"{source} and {target}"


def _counter(tokenizer: Tokenizer) -> Callable[[str], int]:
    return lambda text: len(tokenizer.encode(text))


def _by(items: Iterable[Item], key: Callable[[Item], object]) -> list[list[Item]]:
    """The items in groups of equal key, in the order of their first item."""
    groups: dict[object, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
