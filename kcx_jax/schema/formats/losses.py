"""What a format does not hold of a schema, counted for whoever converts."""

from collections import Counter
from collections.abc import Collection

from kcx_jax.schema.concepts import Concept, Schema


def count_lost(
    schema: Schema,
    lost: Counter[str],
    *,
    kinds: Collection[str] = ("entity", "relation", "event"),
    descriptions: bool = True,
    exemplars: bool = True,
    parents: bool = False,
) -> tuple[Concept, ...]:
    """The concepts of `kinds`, which the format holds; the other kinds and parts are counted in `lost`."""
    kept = tuple(concept for concept in schema.concepts if concept.kind in kinds)
    for concept in schema.concepts:
        if concept.kind not in kinds:
            lost[f"{concept.kind} classes"] += 1
            continue
        lost["descriptions"] += concept.description not in ("", concept.label) and not descriptions
        lost["exemplars"] += 0 if exemplars else len(concept.exemplars)
        lost["parents"] += concept.parent is not None and not parents
    for kind in [kind for kind, count in lost.items() if not count]:
        del lost[kind]
    return kept


def keys_of(concepts: Collection[Concept], lost: Counter[str]) -> dict[str, str]:
    """Class name -> what the class stands under: its label, or its name where two labels are the same."""
    keys = {c.name: c.label if c.label and c.label.strip() else c.name for c in concepts}
    if len(set(keys.values())) == len(keys):
        return keys
    lost["labels"] += sum(concept.label not in (None, concept.name) for concept in concepts)
    return {name: name for name in keys}
