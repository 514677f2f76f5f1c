"""`json-schema`: what `model_json_schema()` prints, `{"$defs": {name: {"type": "object", "properties"}}}`.

Which definition is an entity, a relation or an event is said in `models`. A top level with properties of its own is one
more definition, called by its `title`. Inheritance is not known to the format: the parents' fields are written out.
"""

from collections import Counter
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import UNTYPED, Schema
from kcx_jax.schema.data_files import read_json
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost
from kcx_jax.schema.formats.models import TEXT, TRIGGER, Field, Model, schema_of_models

_LOCAL = "#/$defs/"


def read(text: str, where: str) -> Schema:
    """The definitions; `UsageError` naming the key."""
    return schema_of(read_json(text, where), where)


def schema_of(value: Any, where: str) -> Schema:
    """The schema of a JSON Schema that is loaded already."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected an object")
    definitions = value.get("$defs", value.get("definitions", {}))
    if not isinstance(definitions, dict):
        raise UsageError(f"{where}: $defs: expected an object")
    whole = dict(definitions)
    if isinstance(value.get("properties"), dict):
        whole[str(value.get("title", "Root"))] = value
    models = [_model(name, given, f"{where}: {name}") for name, given in whole.items()]
    if not models:
        raise UsageError(f"{where}: no definition of an object in it")
    return schema_of_models(models)


def _model(name: str, given: Any, where: str) -> Model:
    if not isinstance(given, dict) or not isinstance(given.get("properties", {}), dict):
        raise UsageError(f"{where}: expected an object with properties")
    description = given.get("description", "")
    if not isinstance(description, str):
        raise UsageError(f"{where}: description is no text")
    fields = []
    for key, said in given.get("properties", {}).items():
        if not isinstance(said, dict):
            raise UsageError(f"{where}.{key}: expected an object")
        types, repeated = _types(said, f"{where}.{key}")
        examples = said.get("examples", [])
        texts = (
            tuple(each for each in examples if isinstance(each, str)) if isinstance(examples, list) else ()
        )
        fields.append(Field(key, types, repeated, texts))
    return Model(name, description, tuple(fields))


def _types(said: dict[str, Any], where: str, depth: int = 0) -> tuple[tuple[str, ...], bool]:
    """The names of the types, and whether they stand in a list."""
    if depth > 8:
        raise UsageError(f"{where}: nested too deeply to be a role")
    if isinstance(said.get("$ref"), str):
        return (said["$ref"].rpartition("/")[2],), False
    if said.get("type") == "array" and isinstance(said.get("items"), dict):
        return _types(said["items"], where, depth + 1)[0], True
    members = next(
        (said[key] for key in ("anyOf", "oneOf", "allOf") if isinstance(said.get(key), list)), None
    )
    if members is None:
        return ((), False) if said.get("type") == "null" else ((UNTYPED,), False)
    read = [_types(member, where, depth + 1) for member in members if isinstance(member, dict)]
    names = tuple(dict.fromkeys(name for types, _ in read for name in types))
    return names, any(repeated for _, repeated in read)


def write(schema: Schema, lost: Counter[str]) -> str:
    """The definitions, each with all its fields."""
    count_lost(schema, lost)
    if pairs := sum(len(concept.exemplars) for concept in schema.relations):
        lost["exemplars of relations"] += pairs
    definitions = {}
    for concept in schema.concepts:
        properties: dict[str, Any] = {}
        if concept.kind != "relation":
            text: dict[str, Any] = {"type": "string"}
            if concept.exemplars:
                text["examples"] = list(concept.exemplars)
            properties[TEXT if concept.kind == "entity" else TRIGGER] = text
        for role in schema.roles_of(concept.name):
            union = [
                {"type": "string"} if name == UNTYPED else {"$ref": f"{_LOCAL}{name}"} for name in role.types
            ]
            one = union[0] if len(union) == 1 else {"anyOf": union}
            properties[role.name] = {"type": "array", "items": one} if role.repeated else one
        said = {"description": concept.description} if concept.description else {}
        definitions[concept.name] = {"type": "object", **said, "properties": properties}
    return json_text({"$defs": definitions})
