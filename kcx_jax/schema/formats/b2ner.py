"""`b2ner`: a label set as JSON, `{label: description or [descriptions and examples]}`, or a list of labels.

Also one such object a corpus, `{corpus: {label: ...}}`, whose labels are taken together. Entities
only; several texts of a label become one description.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import Concept, Schema, schema_of_concepts
from kcx_jax.schema.data_files import read_json
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost, keys_of
from kcx_jax.schema.labels import distinct_names, transliterated_name


def read(text: str, where: str, auto: bool = False) -> Schema:
    """The labels, always named by their sounds and told apart; `UsageError` for anything else."""
    value = read_json(text, where)
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        value = dict.fromkeys(value, "")
    if not isinstance(value, dict) or not value:
        raise UsageError(f"{where}: expected an object from label to description, or a list of labels")
    if all(isinstance(labels, dict) for labels in value.values()):
        value = _together(value, where)
    if not all(map(str.strip, value)):
        raise UsageError(f"{where}: a label is empty")
    names = distinct_names(value, transliterated_name)
    return schema_of_concepts(
        tuple(
            Concept(names[label], "entity", None, " ".join(_texts(said, f"{where}: {label}")), label=label)
            for label, said in value.items()
        ),
        where,
    )


def _together(corpora: Mapping[str, dict[str, Any]], where: str) -> dict[str, list[str]]:
    """The labels of all corpora, each with the texts that any of them says of it."""
    texts: dict[str, dict[str, None]] = {}
    for corpus, labels in corpora.items():
        for label, said in labels.items():
            listed = _texts(said, f"{where}: {corpus}: {label}")
            texts.setdefault(label, {}).update(dict.fromkeys(listed))
    return {label: list(said) for label, said in texts.items()}


def _texts(said: Any, where: str) -> list[str]:
    texts = said if isinstance(said, list) else [said or ""]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{where}: expected a description, or a list of them")
    return texts


def write(schema: Schema, lost: Counter[str]) -> str:
    """The entities with their descriptions."""
    kept = count_lost(schema, lost, kinds=("entity",), exemplars=False)
    keys = keys_of(kept, lost)
    names = distinct_names(keys.values(), transliterated_name)
    if renamed := sum(names[key] != name for name, key in keys.items()):
        lost["names of classes"] += renamed
    return json_text({keys[c.name]: c.description for c in kept})
