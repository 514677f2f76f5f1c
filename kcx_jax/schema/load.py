"""`load_schema`: whatever a user calls a schema -> `Schema`."""

import ast
import inspect
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from kcx_jax.errors import UsageError
from kcx_jax.schema.base import Entity, Event, Relation, identifier_to_role
from kcx_jax.schema.concepts import BASE_OF_KIND, BASES, Concept, Kind, Role, Schema, schema_of_concepts
from kcx_jax.schema.data_files import read_json, read_yaml
from kcx_jax.schema.dialects import dialect_named
from kcx_jax.schema.docstrings import split_docstring
from kcx_jax.schema.label_data import concepts_of_labels
from kcx_jax.schema.source import role_from_annotation

_DATA_READERS = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json}


def load_schema(
    source: "Schema | str | Path | types.ModuleType | Mapping[str, Any] | Iterable[type | str]",
    dialect: str = "kcx",
    *,
    auto: bool = False,
) -> Schema:
    """A schema from any of its forms.

    - a path: ``.py`` (classes, read with `ast`, never run), ``.yaml``, ``.yml`` or ``.json`` (entity labels:
      a list, or a mapping from label to a description or to ``{description, examples, parent, name}``);
    - Python source as a string with a line break in it (what `render_schema` returns);
    - classes derived from `Entity`, `Relation` and `Event`, or a module that holds them; Pydantic models (what
      each stands for is said in `kcx_jax.schema.formats.models`);
    - labels ("person", "birth place", 人物), which become entity classes, or a mapping as in YAML;
    - a `Schema`, returned as it is.

    `dialect`: what Python source, in a file or a string, is written in: ``kcx``, ``knowcoder``, ``gollie``.
    `auto`: a label that no rule and no ontology names gets a name from its sounds, and labels that meet in one
    name get a hash behind it, instead of being refused; `Concept.label` has the label.
    Raises `UsageError` naming file and line for what cannot be read.
    """
    if isinstance(source, Schema):
        return source
    if isinstance(source, str) and "\n" in source:
        return schema_of_concepts(
            dialect_named(dialect).read_schema(source, "schema source"), "schema source"
        )
    if isinstance(source, str | Path):
        return _load_file(Path(source), dialect, auto)
    if isinstance(source, types.ModuleType):
        return _from_classes([value for value in vars(source).values() if _is_concept_class(value)])
    if isinstance(source, Mapping):
        return schema_of_data(dict(source), "labels", auto)
    if not isinstance(source, Iterable):
        raise UsageError(f"cannot make a schema of {source!r}: give a file, or a list of classes or labels")
    members = list(source)
    if all(isinstance(member, str) for member in members):
        return schema_of_data(members, "labels", auto)
    if members and all(_is_model(member) for member in members):
        from kcx_jax.schema.formats.pydantic_models import from_classes

        return from_classes(members)
    return _from_classes(members)


def _is_model(value: object) -> bool:
    """Whether `value` is a class of Pydantic's models."""
    return isinstance(value, type) and isinstance(getattr(value, "model_fields", None), Mapping)


def _load_file(path: Path, dialect: str, auto: bool) -> Schema:
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
        return schema_of_concepts(dialect_named(dialect).read_schema(text, where), where)
    return schema_of_data(_DATA_READERS[path.suffix](text, where), where, auto)


def schema_of_data(value: Any, where: str, auto: bool = False) -> Schema:
    """The schema of labels as YAML or JSON hold them. Raises `UsageError` opening with `where`."""
    return schema_of_concepts(concepts_of_labels(value, where, auto), where)


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
