"""What Pydantic models and JSON Schema have in common: models with fields, and the concepts they stand for.

A model with a field `trigger` is an event, one with `head` and `tail` a relation; any other model whose fields hold
models is an event too. The rest are entities. A field of texts, numbers or dates is a role for plain spans; a list
repeats. The examples of an event's `trigger` and of an entity's `text` (or of its one field with examples) are the
class's exemplars; what else is said of a field stands in the class's description (`field_notes`).
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import RESERVED_NAMES, UNTYPED, Concept, Kind, Role, Schema, schema_of_concepts
from kcx_jax.schema.formats.field_notes import Note, with_notes, without_notes
from kcx_jax.schema.labels import described, distinct_names, transliterated_name, transliterated_role

TRIGGER, TEXT = "trigger", "text"


@dataclass(frozen=True)
class Field:
    """A field: the names of its types ("str" for anything that is no model), and what is said of it."""

    name: str
    types: tuple[str, ...]
    repeated: bool = False
    examples: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Model:
    """A model as it is declared, `parent` another model or None. `label`: its own name, where `name` was made."""

    name: str
    description: str
    fields: tuple[Field, ...]
    parent: str | None = None
    label: str | None = None


def schema_of_models(models: Iterable[Model], where: str, auto: bool = False) -> Schema:
    """The concepts, entities first (their order is kept otherwise, parents before children).

    `auto`: names of models and roles that are no ASCII identifiers are made anew by their sounds. Raises
    `UsageError` opening with `where`.
    """
    by_name = _parents_first({model.name: model for model in models}, where)
    if auto:
        by_name = {model.name: model for model in _named(by_name)}
    kinds: dict[str, Kind] = {}
    for name, model in by_name.items():
        kinds[name] = _kind(model, by_name, kinds)
    entities = {name for name, kind in kinds.items() if kind == "entity"}
    ordered = sorted(by_name.values(), key=lambda model: kinds[model.name] != "entity")
    return schema_of_concepts(tuple(_concept(model, kinds, entities) for model in ordered), where)


def _parents_first(by_name: Mapping[str, Model], where: str) -> dict[str, Model]:
    placed: dict[str, Model] = {}
    for model in by_name.values():
        lineage: dict[str, Model] = {}
        above: str | None = model.name
        while above is not None and above in by_name and above not in placed:
            if above in lineage:
                raise UsageError(f"{where}: {above} stands under itself: its parents are a cycle")
            lineage[above] = by_name[above]
            above = by_name[above].parent
        placed |= dict(reversed(lineage.items()))
    return placed


def _named(by_name: Mapping[str, Model]) -> Iterable[Model]:
    """The models by names that a schema takes."""
    kept = [name for name in by_name if name.isascii() and name.isidentifier() and name not in RESERVED_NAMES]
    made = distinct_names([name for name in by_name if name not in kept], transliterated_name, kept)
    for model in by_name.values():
        label = model.name if model.name in made else None
        yield Model(
            made.get(model.name, model.name),
            model.description if label is None else described(label, model.description),
            _named_fields(model.fields, made),
            None if model.parent is None else made.get(model.parent, model.parent),
            label,
        )


def _named_fields(fields: tuple[Field, ...], made: Mapping[str, str]) -> tuple[Field, ...]:
    kept = [field.name for field in fields if field.name.isascii() and field.name.isidentifier()]
    names = distinct_names([f.name for f in fields if f.name not in kept], transliterated_role, kept)
    return tuple(
        dataclasses.replace(
            field,
            name=names.get(field.name, field.name),
            types=tuple(made.get(name, name) for name in field.types),
            description=described(field.name, field.description)
            if field.name in names
            else field.description,
        )
        for field in fields
    )


def _kind(model: Model, by_name: Mapping[str, Model], kinds: Mapping[str, Kind]) -> Kind:
    names = {field.name for field in model.fields}
    if TRIGGER in names:
        return "event"
    if names == {"head", "tail"}:
        return "relation"
    if any(name in by_name for field in model.fields for name in field.types):
        return "event"
    return kinds.get(model.parent or "", "entity")


def _concept(model: Model, kinds: dict[str, Kind], entities: set[str]) -> Concept:
    kind = kinds[model.name]
    marked = _marked(model.fields, kind)
    notes = {
        field.name: Note(field.description, () if field is marked else field.examples)
        for field in model.fields
    }
    parent = model.parent if model.parent in kinds and kinds[model.parent] == kind else None
    roles = tuple(
        Role(field.name, _role_types(field, entities, kind), field.repeated and kind == "event")
        for field in model.fields
        if kind != "entity" and field.name != TRIGGER
    )
    description = with_notes(model.description, notes)
    return Concept(
        model.name, kind, parent, description, marked.examples if marked else (), roles, model.label
    )


def _marked(fields: tuple[Field, ...], kind: Kind) -> Field | None:
    """The field whose examples are those of the class."""
    own = next((f for f in fields if f.name == (TRIGGER if kind == "event" else TEXT)), None)
    if kind != "entity" or (own is not None and own.examples):
        return own if kind != "relation" else None
    said = [field for field in fields if field.examples]
    return said[0] if len(said) == 1 else None


def _role_types(field: Field, entities: set[str], kind: Kind) -> tuple[str, ...]:
    known = tuple(dict.fromkeys(name if name in entities | {"Entity"} else UNTYPED for name in field.types))
    if kind == "relation":
        return tuple(name for name in known if name != UNTYPED) or ("Entity",)
    return known or (UNTYPED,)


def models_of_schema(schema: Schema, lost: Counter[str], inherited: bool = False) -> list[Model]:
    """The models that `schema_of_models` makes the schema of again; what they cannot hold is counted in `lost`.

    `inherited`: with the fields of their parents, for formats that know none.
    """
    if pairs := sum(len(concept.exemplars) for concept in schema.relations):
        lost["exemplars of relations"] += pairs
    if taken := sum(role.name == TRIGGER for concept in schema.events for role in concept.roles):
        lost["roles called trigger"] += taken
    models = []
    for concept in schema.concepts:
        whole = inherited or concept.kind == "relation"
        roles = schema.roles_of(concept.name) if whole else concept.roles
        fields = [Field(role.name, role.types, role.repeated) for role in roles if role.name != TRIGGER]
        if concept.kind != "relation" and (inherited or concept.parent is None or concept.exemplars):
            name = TEXT if concept.kind == "entity" else TRIGGER
            fields.insert(0, Field(name, (UNTYPED,), False, concept.exemplars))
        description, told = _told(concept, fields)
        models.append(Model(concept.name, description, told, None if inherited else concept.parent))
    return models


def _told(concept: Concept, fields: list[Field]) -> tuple[str, tuple[Field, ...]]:
    """The description, and the fields with what it notes of them."""
    description, notes = without_notes(concept.description)
    if any(name in notes and notes[name].examples for name in (TEXT, TRIGGER)):
        return concept.description, tuple(fields)  # read again, these would be the class's
    told = []
    for field in fields:
        note = notes.pop(field.name, Note())
        examples = field.examples or note.examples
        told.append(dataclasses.replace(field, description=note.description, examples=examples))
    return with_notes(description, notes), tuple(told)
