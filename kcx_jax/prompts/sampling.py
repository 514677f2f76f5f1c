"""What varies between the trees of one schema, from a seed: the same seed and key give the same bytes."""

import dataclasses
import random
from collections.abc import Sequence

from kcx_jax.corpora import Record
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
) -> tuple[PromptTree, ...]:
    """The tree of these records over `sample_schema`: one, or as many as `max_classes` splits it into.

    Raises as `extraction_branch`.
    """
    sampled = sample_schema(records, schema, task, config, key, pool)
    groups = (sampled,) if config.max_classes is None else split_schema(sampled, task, config.max_classes)
    pair = config.pair and task == "re"
    return tuple(extraction_tree(group, records, task, pair) for group in groups)
