"""`yaml` and `json`: labels of entities with description, examples and parent, as `load_schema` reads them."""

from collections import Counter
from typing import Any

from kcx_jax.schema.concepts import Schema
from kcx_jax.schema.data_files import read_json, read_yaml
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost
from kcx_jax.schema.load import schema_of_data


def read_yaml_labels(text: str, where: str) -> Schema:
    """A list of labels, or a mapping."""
    return schema_of_data(read_yaml(text, where), where)


def read_json_labels(text: str, where: str) -> Schema:
    """A list of labels, or an object."""
    return schema_of_data(read_json(text, where), where)


def write_yaml(schema: Schema, lost: Counter[str]) -> str:
    """The entities."""
    import yaml

    return yaml.safe_dump(_labels(schema, lost), allow_unicode=True, sort_keys=False, width=1000)


def write_json(schema: Schema, lost: Counter[str]) -> str:
    """The entities."""
    return json_text(_labels(schema, lost))


def _labels(schema: Schema, lost: Counter[str]) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for concept in count_lost(schema, lost, kinds=("entity",), parents=True):
        given: dict[str, Any] = {"description": concept.description}
        if concept.exemplars:
            given["examples"] = list(concept.exemplars)
        if concept.parent:
            given["parent"] = concept.parent
        out[concept.name] = given
    return out
