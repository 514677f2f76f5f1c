"""Corpora of a config -> the token trees of its stages: one for each schema, task and language (pair)."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from kcx_jax.corpora import read_parallel, read_records
from kcx_jax.data import Forest, TokenTree, drop_overlong, encode_tree
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.prompts import ExemplarPool, PromptConfig, PromptTree, sample_alignment_trees, sample_trees
from kcx_jax.schema import load_schema
from kcx_jax.tokenizer import Tokenizer
from kcx_jax.training.config import DataSettings, TrainConfig
from kcx_jax.training.loop import Stage
from kcx_jax.training.mixture import Source, epoch_table, mix
from kcx_jax.training.packed import PackedFolder, rendering

Say = Callable[[str], None]
Item = TypeVar("Item")


def say_to_stderr(line: str) -> None:
    """Where lines go by default."""
    print(line, file=sys.stderr, flush=True)


def read_stages(config: TrainConfig, tokenizer: Tokenizer, max_positions: int, say: Say) -> list[Stage]:
    """The stages of a run with everything they learn from, rendered and encoded here or from `config.packed`; `say`
    gets a line a corpus.

    Raises `KcxError` for a missing or damaged corpus, a record that is not annotated for a task asked for,
    and (unless `config.allow_overlong`) a sample longer than `max_positions`; `UsageError` for a packed folder that
    another config or tokenizer made.
    """
    reader = CorpusReader(config, tokenizer, max_positions, say)
    packed = PackedFolder(config.packed, tokenizer, config.model) if config.packed else None
    stages: list[Stage] = []
    before: list[Source] = []
    for number, stage in enumerate(config.stages, 1):
        name = f"stage {number} ({stage.kind})"
        own = [_source(data, stage.kind, reader, packed) for data in stage.data]
        mixed = mix(own, stage.temperature, before, stage.replay)
        before += own
        trees = Forest(*(source.trees for source in mixed))
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


def _source(data: DataSettings, kind: str, reader: "CorpusReader", packed: PackedFolder | None) -> Source:
    """A corpus of a stage, from the packed folder where there is one."""
    if packed is None:
        return Source(data.path, reader.trees(data, kind)[0], data.weight)
    trees, dropped = packed.trees(rendering(data, kind, reader.config, reader.max_positions))
    reader.tell(data, len(trees.sizes.inputs_S), dropped)
    return Source(data.path, trees, data.weight)


@dataclass(frozen=True)
class CorpusReader:
    """Renders and encodes corpora as a run asks for them; `say` gets a line a corpus."""

    config: TrainConfig
    tokenizer: Tokenizer
    max_positions: int
    say: Say

    def trees(self, data: DataSettings, kind: str) -> tuple[list[TokenTree], int]:
        """The trees of a corpus, and how many samples were left out as too long. Raises as `read_stages`."""
        kept, dropped = drop_overlong(
            self._fitting(data, kind), self.max_positions, self.config.allow_overlong
        )
        samples = sum(len(tree.branches) for tree in kept)
        if not samples:
            raise KcxError(f"{data.path}: no sample to learn from.")
        self.tell(data, samples, dropped)
        return kept, dropped

    def tell(self, data: DataSettings, samples: int, dropped: int) -> None:
        """The line of a corpus."""
        left_out = f", {dropped} left out as longer than {self.max_positions} tokens" if dropped else ""
        self.say(f"{data.path}: {samples} samples for {', '.join(data.tasks)}{left_out}")

    def _fitting(self, data: DataSettings, kind: str) -> list[TokenTree]:
        """The trees of a corpus, the schema split into class groups where samples would else not fit the model.

        Texts that take more than half of the positions by themselves are left to `drop_overlong`.
        """
        made = _alignment if kind == "align" else _extraction
        prompts = data.prompts.config(self.config.seed)
        while True:
            try:
                trees = [
                    encode_tree(self.tokenizer, tree, language)
                    for tree, language in made(data, prompts, self.config.branches, self.tokenizer)
                ]
            except UsageError as error:
                raise UsageError(f"{data.path}: {error}") from error
            excess = _excess(trees, self.max_positions)
            if not excess:
                return trees
            limit = (prompts.max_tokens or max(len(tree.prefix) for tree in trees)) - excess
            if limit < 1:
                return trees
            self.say(
                f"{data.path}: the schema is split into class groups of at most {limit} tokens, so that every "
                f"sample fits the model's {self.max_positions} positions"
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
