"""What Pydantic models and JSON Schema have in common: models with fields, and the concepts they stand for.

A model with a field `trigger` is an event, one with `head` and `tail` a relation; any other model whose fields hold
models is an event too. The rest are entities. Of an entity's fields only the examples of `text` (or of its one field
with examples) are kept. A field of texts, numbers or dates is a role for plain spans; a list repeats.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kcx_jax.schema.concepts import UNTYPED, Concept, Kind, Role, Schema

TRIGGER, TEXT = "trigger", "text"


@dataclass(frozen=True)
class Field:
    """A field: the names of its types ("str" for anything that is no model), and examples."""

    name: str
    types: tuple[str, ...]
    repeated: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """A model as it is declared, `parent` another model or None."""

    name: str
    description: str
    fields: tuple[Field, ...]
    parent: str | None = None


def schema_of_models(models: Iterable[Model]) -> Schema:
    """The concepts, entities first (their order is kept otherwise), as roles must know them."""
    by_name = {model.name: model for model in models}
    kinds = {name: _kind(model, by_name) for name, model in by_name.items()}
    entities = {name for name, kind in kinds.items() if kind == "entity"}
    ordered = sorted(by_name.values(), key=lambda model: kinds[model.name] != "entity")
    return Schema(tuple(_concept(model, kinds, entities) for model in ordered))


def _kind(model: Model, by_name: dict[str, Model]) -> Kind:
    names = {field.name for field in model.fields}
    if TRIGGER in names:
        return "event"
    if names == {"head", "tail"}:
        return "relation"
    if any(name in by_name for field in model.fields for name in field.types):
        return "event"
    return _kind(by_name[model.parent], by_name) if model.parent in by_name else "entity"


def _concept(model: Model, kinds: dict[str, Kind], entities: set[str]) -> Concept:
    kind = kinds[model.name]
    said = [field for field in model.fields if field.examples]
    marked = next((field for field in said if field.name in (TRIGGER, TEXT)), said[0] if said else None)
    exemplars = marked.examples if marked and kind != "relation" else ()
    parent = model.parent if model.parent in kinds and kinds[model.parent] == kind else None
    roles = tuple(
        Role(field.name, _role_types(field, entities, kind), field.repeated and kind == "event")
        for field in model.fields
        if kind != "entity" and field.name != TRIGGER
    )
    return Concept(model.name, kind, parent, model.description, exemplars, roles)


def _role_types(field: Field, entities: set[str], kind: Kind) -> tuple[str, ...]:
    known = tuple(dict.fromkeys(name if name in entities | {"Entity"} else UNTYPED for name in field.types))
    if kind == "relation":
        return tuple(name for name in known if name != UNTYPED) or ("Entity",)
    return known or (UNTYPED,)


def models_of_schema(schema: Schema) -> list[Model]:
    """The models that `schema_of_models` makes the schema of again (exemplars of relations apart)."""
    models = []
    for concept in schema.concepts:
        fields = [Field(role.name, role.types, role.repeated) for role in concept.roles]
        if concept.kind == "relation":
            fields = [Field(role.name, role.types) for role in schema.roles_of(concept.name)]
        elif concept.parent is None or concept.exemplars:
            name = TEXT if concept.kind == "entity" else TRIGGER
            fields.insert(0, Field(name, (UNTYPED,), False, concept.exemplars))
        models.append(Model(concept.name, concept.description, tuple(fields), concept.parent))
    return models
