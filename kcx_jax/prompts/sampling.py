"""What varies between the trees of one schema, from a seed: the same seed and key give the same bytes."""

import dataclasses
import random
from collections.abc import Callable, Sequence

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.errors import UsageError
from kcx_jax.prompts.alignment import alignment_tree
from kcx_jax.prompts.exemplars import ExemplarPool
from kcx_jax.prompts.extraction import extraction_tree
from kcx_jax.prompts.negatives import with_negatives
from kcx_jax.prompts.settings import PromptConfig
from kcx_jax.prompts.splitting import split_schema
from kcx_jax.prompts.tree import PromptTree
from kcx_jax.schema import Concept, Schema, Task


def shuffle_schema(schema: Schema, seed: int, key: str) -> Schema:
    """The same classes in another order, drawn from the seed and the tree's key.

    Entities come first, then relations, then events; a parent stands above its children.
    """
    # A string seeds through SHA-512, so that neither the process nor PYTHONHASHSEED matters.
    generator = random.Random(f"{seed}:{key}")
    order: dict[str, Concept] = {}
    for concepts in (schema.entities, schema.relations, schema.events):
        for concept in generator.sample(concepts, len(concepts)):
            line = [concept]
            while (parent := line[-1].parent) is not None:
                line.append(schema.by_name[parent])
            for each in reversed(line):
                order.setdefault(each.name, each)
    return Schema(tuple(order.values()), schema.declared)


def sample_schema(
    records: Sequence[Record],
    schema: Schema,
    task: Task,
    config: PromptConfig,
    key: str,
    pool: ExemplarPool | None = None,
) -> Schema:
    """The classes that the tree `key` of these records shows, as `config` varies them (`PromptConfig`).

    Every class that their answers name stays. Exemplars come from the pool, or without one from those the
    schema declares. Drawn from (seed, key) alone: neither the process nor PYTHONHASHSEED matters.
    """

    def generator(knob: str) -> random.Random:
        # Each knob draws for itself, so that turning one leaves what the others draw.
        return random.Random(f"{config.seed}:{key}:{knob}")

    sampled = with_negatives(schema, records, task, config, generator("negatives"))
    concepts = sampled.concepts
    if config.exemplars is not None:
        pool, draws = pool or ExemplarPool(()), generator("exemplars")
        concepts = tuple(
            dataclasses.replace(each, exemplars=pool.draw(each, config.exemplars, records, draws))
            for each in concepts
        )
    if config.description_dropout:
        draws = generator("descriptions")
        concepts = tuple(
            dataclasses.replace(each, description="") if draws.random() < config.description_dropout else each
            for each in concepts
        )
    sampled = Schema(concepts, sampled.declared)
    return shuffle_schema(sampled, config.seed, key) if config.shuffle else sampled


def sample_trees(
    records: Sequence[Record],
    schema: Schema,
    task: Task,
    config: PromptConfig,
    key: str,
    pool: ExemplarPool | None = None,
    count_tokens: Callable[[str], int] | None = None,
) -> tuple[PromptTree, ...]:
    """The tree of these records over `sample_schema`: one, or as many as the config's limits split it into.

    `count_tokens` tells the tokens of a text, for `max_tokens`. Raises as `extraction_branch` and `split_schema`.
    """
    sampled = sample_schema(records, schema, task, config, key, pool)
    pair = config.pair and task == "re"
    groups = _split(sampled, task, config, count_tokens)
    return tuple(extraction_tree(group, records, task, pair) for group in groups)


def sample_alignment_trees(
    pairs: Sequence[ParallelRecord],
    schema: Schema,
    task: Task,
    config: PromptConfig,
    key: str,
    pool: ExemplarPool | None = None,
    count_tokens: Callable[[str], int] | None = None,
) -> tuple[PromptTree, ...]:
    """As `sample_trees`, for stage 1: the classes that either side of a pair has stay, neither side is an exemplar.

    Raises as `alignment_branch` and `split_schema`; `UsageError` where the config gives RE its pair.
    """
    if config.pair:
        raise UsageError("pair is for extraction: an alignment prompt asks for all relations of a sentence")
    sides = [side for pair in pairs for side in (pair.source, pair.target)]
    sampled = sample_schema(sides, schema, task, config, key, pool)
    return tuple(alignment_tree(group, pairs, task) for group in _split(sampled, task, config, count_tokens))


def _split(
    schema: Schema, task: Task, config: PromptConfig, count_tokens: Callable[[str], int] | None
) -> tuple[Schema, ...]:
    if config.max_classes is None and config.max_tokens is None:
        return (schema,)
    if config.max_tokens is None:
        return split_schema(schema, task, config.max_classes)
    if count_tokens is None:
        raise UsageError("max_tokens needs count_tokens, the tokenizer's count of a text")
    return split_schema(schema, task, config.max_classes, config.max_tokens, count_tokens=count_tokens)
