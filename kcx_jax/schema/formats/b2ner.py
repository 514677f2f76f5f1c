"""`b2ner`: a label set as JSON, `{label: description or [descriptions and examples]}`, or a list of labels.

Also one such object a corpus, `{corpus: {label: ...}}`, whose labels are taken together where they agree. Entities
only; several texts of a label become one description.
"""

from collections import Counter
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import Concept, Schema
from kcx_jax.schema.data_files import read_json
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost
from kcx_jax.schema.labels import transliterated_name


def read(text: str, where: str) -> Schema:
    """The labels; `UsageError` for anything else, and where two labels would become one class."""
    value = read_json(text, where)
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        value = dict.fromkeys(value, "")
    if not isinstance(value, dict) or not value:
        raise UsageError(f"{where}: expected an object from label to description, or a list of labels")
    if all(isinstance(labels, dict) for labels in value.values()):
        value = {label: said for labels in value.values() for label, said in labels.items()}
    concepts: dict[str, Concept] = {}
    for label, said in value.items():
        if not label.strip():
            raise UsageError(f"{where}: a label is empty")
        name = transliterated_name(label)
        if name in concepts:
            raise UsageError(
                f"{where}: the labels {concepts[name].label!r} and {label!r} both become class {name}"
            )
        concepts[name] = Concept(name, "entity", None, _description(said, f"{where}: {label}"), label=label)
    return Schema(tuple(concepts.values()))


def _description(said: Any, where: str) -> str:
    texts = said if isinstance(said, list) else [said or ""]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{where}: expected a description, or a list of them")
    return " ".join(texts)


def write(schema: Schema, lost: Counter[str]) -> str:
    """The entities with their descriptions."""
    kept = count_lost(schema, lost, kinds=("entity",), exemplars=False)
    return json_text({c.label or c.name: c.description for c in kept})
