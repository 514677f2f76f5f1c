"""`json-schema`: what `model_json_schema()` prints, `{"$defs": {name: {"type": "object", "properties"}}}`.

Which definition is an entity, a relation or an event is said in `models`. A top level with properties of its own is one
more definition, called by its `title`; a definition of plain values (an `enum`, a string) is a plain span; one of
`allOf` with a reference stands under that definition. Inheritance is written without `allOf`: the parents' fields are
written out. A reference out of the document, a cycle of references, types that exclude one another and objects without
a name are refused with their JSON path.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from kcx_jax.errors import UsageError
from kcx_jax.schema.base import Entity
from kcx_jax.schema.concepts import UNTYPED, Schema
from kcx_jax.schema.data_files import read_json
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost
from kcx_jax.schema.formats.models import Field, Model, models_of_schema, schema_of_models

_LOCAL = "#/$defs/"
_ANY = Entity.__name__
_UNIONS = ("anyOf", "oneOf", "allOf")
_SCALARS = ("string", "number", "integer", "boolean", "null")


def read(text: str, where: str, auto: bool = False) -> Schema:
    """The definitions; `UsageError` naming the JSON path."""
    return schema_of(read_json(text, where), where, auto)


def schema_of(value: Any, where: str, auto: bool = False) -> Schema:
    """The schema of a JSON Schema that is loaded already."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected an object")
    whole: dict[str, tuple[str, Any]] = {}
    for key in ("$defs", "definitions"):
        definitions = value.get(key, {})
        if not isinstance(definitions, dict):
            raise UsageError(f"{where}: #/{key}: expected an object")
        for name, given in definitions.items():
            _add(whole, name, f"{where}: #/{key}/{name}", given)
    if isinstance(value.get("properties"), dict):
        _add(whole, str(value.get("title", "Root")), f"{where}: #", value)
    document = _Document({name: given for name, (_, given) in whole.items()}, value)
    models = [
        document.model(name, given, path)
        for name, (path, given) in whole.items()
        if document.is_object(given, path)
    ]
    if not models:
        raise UsageError(f"{where}: no definition of an object in it")
    return schema_of_models(models, where, auto)


def _add(whole: dict[str, tuple[str, Any]], name: str, path: str, given: Any) -> None:
    if name in whole:
        raise UsageError(f"{path}: a second definition called {name!r}, beside {whole[name][0]}")
    whole[name] = path, given


class _Document:
    """The definitions of a JSON Schema, by name."""

    def __init__(self, definitions: Mapping[str, Any], root: dict[str, Any]) -> None:
        self.definitions, self.root = definitions, root

    def is_object(self, given: Any, path: str) -> bool:
        """Whether a definition is a model, and not a plain value, a list, or another name of something else."""
        if not isinstance(given, dict):
            raise UsageError(f"{path}: expected an object")
        if "properties" in given:
            return True
        if isinstance(given.get("allOf"), list):
            return any(isinstance(part, dict) and "properties" in part for part in given["allOf"])
        kinds = {"enum", "const", "$ref", "anyOf", "oneOf"} & set(given)
        return not kinds and given.get("type", "object") == "object"

    def model(self, name: str, given: dict[str, Any], path: str) -> Model:
        """A definition of an object."""
        description = _description(given, path)
        parent, properties = self._parts(given, path)
        fields = tuple(self._field(key, said, at) for key, (at, said) in properties.items())
        return Model(name, description, fields, parent)

    def _parts(self, given: dict[str, Any], path: str) -> tuple[str | None, dict[str, tuple[str, Any]]]:
        """The parent and the properties, those in `allOf` too."""
        parents: list[str] = []
        properties: dict[str, tuple[str, Any]] = {}
        parts = given.get("allOf", [])
        if not isinstance(parts, list):
            raise UsageError(f"{path}/allOf: expected a list")
        for at, part in [(path, given), *((f"{path}/allOf/{i}", part) for i, part in enumerate(parts))]:
            if not isinstance(part, dict) or not isinstance(part.get("properties", {}), dict):
                raise UsageError(f"{at}: expected an object with properties")
            if "$ref" in part:
                parents.append(self._target(part["$ref"], at))
            for key, said in part.get("properties", {}).items():
                if key in properties:
                    raise UsageError(f"{at}/properties/{key}: declared twice, first in {properties[key][0]}")
                properties[key] = f"{at}/properties/{key}", said
        if len(parents) > 1:
            raise UsageError(f"{path}: a class has one parent, found {', '.join(parents)}")
        return (parents[0] if parents else None), properties

    def _field(self, key: str, said: Any, path: str) -> Field:
        if not isinstance(said, dict):
            raise UsageError(f"{path}: expected an object")
        types, repeated = self._types(said, path)
        examples = said.get("examples", said.get("enum", []))
        if not isinstance(examples, list):
            raise UsageError(f"{path}/examples: expected a list")
        texts = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in examples]
        return Field(key, tuple(dict.fromkeys(types)), repeated, tuple(texts), _description(said, path))

    def _types(self, said: Any, path: str, seen: tuple[str, ...] = ()) -> tuple[list[str], bool]:
        """The names of the types, and whether they stand in a list."""
        if not isinstance(said, dict):
            raise UsageError(f"{path}: expected an object")
        if path.count("/") > 60:
            raise UsageError(f"{path[:200]}: nested too deeply to be a role")
        said_types = [key for key in ("$ref", *_UNIONS, "items", "properties") if key in said]
        if len(said_types) > 1:
            raise UsageError(
                f"{path}: {' beside '.join(said_types)} cannot be read: a role has one type or a union"
            )
        if "$ref" in said:
            name = self._target(said["$ref"], path)
            if name in seen:
                raise UsageError(f"{path}: a cycle of references: {' -> '.join((*seen, name))}")
            given = self.definitions[name]
            if name == _ANY or self.is_object(given, f"{path}/$ref"):
                return [name], False
            return self._types(given, path, (*seen, name))
        for key in _UNIONS:
            if key in said:
                return self._union(said[key], key, f"{path}/{key}", seen)
        if "properties" in said:
            raise UsageError(f"{path}: an object inside a field; put it under $defs and refer to it")
        return self._plain(said, path, seen)

    def _union(self, members: Any, key: str, path: str, seen: tuple[str, ...]) -> tuple[list[str], bool]:
        if not isinstance(members, list) or not members:
            raise UsageError(f"{path}: expected a list of types")
        if key == "allOf" and len(members) > 1:
            raise UsageError(f"{path}: a role cannot have several types at once (anyOf says one of them)")
        read = [self._types(member, f"{path}/{i}", seen) for i, member in enumerate(members)]
        return [name for types, _ in read for name in types], any(repeated for _, repeated in read)

    def _plain(self, said: dict[str, Any], path: str, seen: tuple[str, ...]) -> tuple[list[str], bool]:
        kinds = said.get("type", [])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        for kind in kinds:
            if kind not in (*_SCALARS, "array", "object"):
                raise UsageError(f"{path}/type: no type of JSON Schema: {json.dumps(kind)[:60]}")
        if kinds == ["null"]:
            return [], False
        if "array" not in kinds and "items" not in said:
            return [UNTYPED], False
        items = said.get("items", {})
        if isinstance(items, bool):
            return [UNTYPED], True
        types, repeated = self._types(items, f"{path}/items", seen)
        if repeated:
            raise UsageError(f"{path}/items: a list in a list is no role")
        return types, True

    def _target(self, reference: Any, path: str) -> str:
        """The name of the definition that a reference leads to."""
        if reference == "#":
            return str(self.root.get("title", "Root"))
        for start in (_LOCAL, "#/definitions/"):
            if isinstance(reference, str) and reference.startswith(start):
                name = unquote(reference.removeprefix(start)).replace("~1", "/").replace("~0", "~")
                if name in self.definitions:
                    return name
        shown = json.dumps(reference)[:80]
        raise UsageError(
            f"{path}/$ref: {shown} leads to no definition of this document, such as #/$defs/Person"
        )


def _description(given: dict[str, Any], path: str) -> str:
    description = given.get("description", "")
    if not isinstance(description, str):
        raise UsageError(f"{path}/description: expected a text")
    return description


def write(schema: Schema, lost: Counter[str]) -> str:
    """The definitions, each with all its fields."""
    count_lost(schema, lost)
    definitions: dict[str, dict[str, Any]] = {}
    for model in models_of_schema(schema, lost, inherited=True):
        said = {"description": model.description} if model.description else {}
        properties = {field.name: _property(field) for field in model.fields}
        definitions[model.name] = {"type": "object", **said, "properties": properties}
    if any(_ANY in role.types for concept in schema.concepts for role in concept.roles):
        entities = [{"$ref": f"{_LOCAL}{concept.name}"} for concept in schema.entities]
        definitions[_ANY] = {"description": "Any entity.", "anyOf": entities or [{"type": "object"}]}
    return json_text({"$defs": definitions})


def _property(field: Field) -> dict[str, Any]:
    union = [{"type": "string"} if name == UNTYPED else {"$ref": f"{_LOCAL}{name}"} for name in field.types]
    one: dict[str, Any] = union[0] if len(union) == 1 else {"anyOf": union}
    said: dict[str, Any] = {"type": "array", "items": one} if field.repeated else one
    if field.description:
        said["description"] = field.description
    if field.examples:
        said["examples"] = list(field.examples)
    return said
