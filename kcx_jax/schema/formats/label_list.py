"""`yaml` and `json`: labels of entities with description, examples, parent and name, as `load_schema` reads them."""

from collections import Counter
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import Schema
from kcx_jax.schema.data_files import read_json, read_yaml
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost, keys_of
from kcx_jax.schema.load import schema_of_data


def read_yaml_labels(text: str, where: str, auto: bool = False) -> Schema:
    """A list of labels, or a mapping."""
    return schema_of_data(read_yaml(text, where), where, auto)


def read_json_labels(text: str, where: str, auto: bool = False) -> Schema:
    """A list of labels, or an object."""
    return schema_of_data(read_json(text, where), where, auto)


def write_yaml(schema: Schema, lost: Counter[str]) -> str:
    """The entities. Raises `UsageError` for half a surrogate pair, which YAML has no way to write."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes whatever another line break or invisible character would be lost from."""

        def represent_text(self, text: str) -> yaml.ScalarNode:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise UsageError(
                    f"YAML cannot hold half a surrogate pair, as in {text[:60]!r}: write json instead"
                )
            style = None if text.isprintable() else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", text, style)

    Dumper.add_representer(str, Dumper.represent_text)
    return str(
        yaml.dump(_labels(schema, lost), Dumper=Dumper, allow_unicode=True, sort_keys=False, width=1000)
    )


def write_json(schema: Schema, lost: Counter[str]) -> str:
    """The entities."""
    return json_text(_labels(schema, lost))


def _labels(schema: Schema, lost: Counter[str]) -> dict[str, dict[str, Any]]:
    kept = count_lost(schema, lost, kinds=("entity",), parents=True)
    keys = keys_of(kept, lost)
    out: dict[str, dict[str, Any]] = {}
    for concept in kept:
        given: dict[str, Any] = {} if keys[concept.name] == concept.name else {"name": concept.name}
        given["description"] = concept.description
        if concept.exemplars:
            given["examples"] = list(concept.exemplars)
        if concept.parent:
            given["parent"] = keys[concept.parent]
        out[keys[concept.name]] = given
    return out
