"""`load_schema`: whatever a user calls a schema -> `Schema`."""

import ast
import inspect
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import ontology
from kcx_jax.schema.base import Entity, Event, Relation, identifier_to_role
from kcx_jax.schema.concepts import BASE_OF_KIND, BASES, Concept, Kind, Role, Schema
from kcx_jax.schema.data_files import read_json, read_yaml
from kcx_jax.schema.dialects import dialect_named
from kcx_jax.schema.docstrings import split_docstring
from kcx_jax.schema.labels import class_name_of
from kcx_jax.schema.source import role_from_annotation

_DATA_READERS = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json}
_FIELDS = ("description", "examples", "parent")


def load_schema(
    source: "Schema | str | Path | types.ModuleType | Mapping[str, Any] | Iterable[type | str]",
    dialect: str = "kcx",
) -> Schema:
    """A schema from any of its forms.

    - a path: ``.py`` (classes, read with `ast`, never run), ``.yaml``, ``.yml`` or ``.json`` (entity labels:
      a list, or a mapping from label to a description or to ``{description, examples, parent}``);
    - Python source as a string with a line break in it (what `render_schema` returns);
    - classes derived from `Entity`, `Relation` and `Event`, or a module that holds them; Pydantic models (what
      each stands for is said in `kcx_jax.schema.formats.models`);
    - labels ("person", "birth place", 人物), which become entity classes, or a mapping as in YAML;
    - a `Schema`, returned as it is.

    `dialect`: what Python source, in a file or a string, is written in: ``kcx``, ``knowcoder``, ``gollie``.
    Raises `UsageError` naming file and line for what cannot be read.
    """
    if isinstance(source, Schema):
        return source
    if isinstance(source, str) and "\n" in source:
        return _checked(dialect_named(dialect).read_schema(source, "schema source"), "schema source")
    if isinstance(source, str | Path):
        return _load_file(Path(source), dialect)
    if isinstance(source, types.ModuleType):
        return _from_classes([value for value in vars(source).values() if _is_concept_class(value)])
    if isinstance(source, Mapping):
        return schema_of_data(dict(source), "labels")
    if not isinstance(source, Iterable):
        raise UsageError(f"cannot make a schema of {source!r}: give a file, or a list of classes or labels")
    members = list(source)
    if all(isinstance(member, str) for member in members):
        return _checked(_from_labels(members, "labels"), "labels")
    if members and all(_is_model(member) for member in members):
        from kcx_jax.schema.formats.pydantic_models import from_classes

        return from_classes(members)
    return _from_classes(members)


def _is_model(value: object) -> bool:
    """Whether `value` is a class of Pydantic's models."""
    return isinstance(value, type) and isinstance(getattr(value, "model_fields", None), Mapping)


def _load_file(path: Path, dialect: str) -> Schema:
    known = [".py", *_DATA_READERS]
    if path.suffix not in known:
        names = ", ".join(known)
        raise UsageError(
            f"{path} is no schema file: its name must end in one of {names} (labels go in a list)"
        )
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise UsageError(f"cannot read the schema {where}: {error.strerror or error}") from error
    if path.suffix == ".py":
        return _checked(dialect_named(dialect).read_schema(text, where), where)
    return schema_of_data(_DATA_READERS[path.suffix](text, where), where)


def _checked(concepts: tuple[Concept, ...], where: str) -> Schema:
    if not concepts:
        raise UsageError(f"{where}: no class and no label in it")
    try:
        return Schema(concepts)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def schema_of_data(value: Any, where: str) -> Schema:
    """The schema of labels as YAML or JSON hold them. Raises `UsageError` opening with `where`."""
    return _checked(_from_data(value, where), where)


def _from_data(value: Any, where: str) -> tuple[Concept, ...]:
    if isinstance(value, list):
        return _from_labels(value, where)
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a list of labels, or a mapping from label to description")
    concepts = []
    for concept, given in zip(_from_labels(list(value), where), value.values(), strict=True):
        here = f"{where}: {concept.label}"
        fields = {"description": given} if isinstance(given, str) else given
        if fields is None:
            concepts.append(concept)
            continue
        if not isinstance(fields, dict) or not set(fields) <= set(_FIELDS):
            raise UsageError(f"{here}: expected a description, or a mapping with {', '.join(_FIELDS)}")
        description = fields.get("description", concept.description)
        examples = fields.get("examples", list(concept.exemplars))
        if not isinstance(description, str):
            raise UsageError(f"{here}: description is no text (quote it)")
        if not isinstance(examples, list) or not all(isinstance(example, str) for example in examples):
            raise UsageError(f"{here}: examples is no list of texts (quote them)")
        parent = _class_name(fields["parent"], here) if "parent" in fields else None
        concepts.append(
            Concept(concept.name, "entity", parent, description, tuple(examples), label=concept.label)
        )
    return tuple(concepts)


def _from_labels(labels: list, where: str) -> tuple[Concept, ...]:
    concepts: dict[str, Concept] = {}
    for label in labels:
        name = _class_name(label, where)
        if name in concepts:
            raise UsageError(
                f"{where}: the labels {concepts[name].label!r} and {label!r} both become class {name}"
            )
        ascii_form = class_name_of(label) is not None
        concepts[name] = (
            Concept(name, "entity", label=label) if ascii_form else ontology.concept_for(name, label=label)
        )
    return tuple(concepts.values())


def _class_name(label: object, where: str) -> str:
    if not isinstance(label, str):
        raise UsageError(f"{where}: label {label!r} is no text: quote it")
    name = class_name_of(label)
    if name is not None:
        return name
    try:
        return ontology.class_for("any", label)
    except KcxError as error:
        raise UsageError(
            f"{where}: the label {label!r} has no ASCII form to name a class with. Use an English label, "
            f"or a .py schema whose docstring holds the native one. ({error})"
        ) from error


def _is_concept_class(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Entity | Relation | Event)
        and value not in BASES.values()
    )


def _from_classes(classes: list) -> Schema:
    for cls in classes:
        if not _is_concept_class(cls):
            raise UsageError(
                f"a schema is a list of labels, or of classes under Entity, Relation or Event; found {cls!r}"
            )
    if not classes:
        raise UsageError("the schema is empty: give at least one class or label")
    declared = {cls.__name__: cls for cls in classes}
    return Schema(tuple(_from_class(cls, declared) for cls in classes), declared)


def _from_class(cls: type, declared: Mapping[str, type]) -> Concept:
    kind: Kind = "entity" if issubclass(cls, Entity) else "relation" if issubclass(cls, Relation) else "event"
    listed = [base for base in cls.__mro__[1:] if declared.get(base.__name__) is base]
    parent = listed[0] if listed else BASES[BASE_OF_KIND[kind]]
    # What lies between a class and its listed parent is no concept, but its roles are inherited all the same.
    lineage = [base for base in cls.__mro__ if issubclass(base, parent) and base is not parent]
    annotations = {
        name: annotation
        for base in reversed(lineage)
        for name, annotation in inspect.get_annotations(base).items()
    }
    description, exemplars = split_docstring(cls.__dict__.get("__doc__") or "", kind)
    roles = tuple(_role(cls, name, annotation) for name, annotation in annotations.items())
    return Concept(cls.__name__, kind, parent.__name__ if listed else None, description, exemplars, roles)


def _role(cls: type, identifier: str, annotation: Any) -> Role:
    where = f"class {cls.__name__}, role {identifier!r}"
    try:
        expression = ast.parse(_annotation_source(annotation), mode="eval").body
    except SyntaxError as error:
        raise UsageError(f"{where}: cannot read the type {annotation!r}") from error
    return role_from_annotation(identifier_to_role(identifier), expression, where)


def _annotation_source(annotation: Any) -> str:
    """A runtime annotation back as the source it was written as, with bare class names."""
    if isinstance(annotation, str):
        return annotation
    if annotation is None or annotation is type(None):
        return "None"
    members = [_annotation_source(member) for member in get_args(annotation)]
    if get_origin(annotation) is list:
        return f"list[{', '.join(members)}]"
    if members:
        return " | ".join(members)
    name = getattr(annotation, "__forward_arg__", None) or getattr(annotation, "__name__", None)
    return name or repr(annotation)
