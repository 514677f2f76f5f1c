"""What varies between the trees of one schema, from a seed: the same seed and key give the same bytes."""

import random

from kcx_jax.schema import Concept, Schema


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
