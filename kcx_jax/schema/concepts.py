"""A schema as a value: concepts with their kind, parent, docstring and roles, wherever they came from."""

import dataclasses
import functools
import keyword
import types
from collections.abc import Mapping
from typing import Literal, get_args

from kcx_jax.errors import UsageError
from kcx_jax.schema.base import Entity, Event, Relation
from kcx_jax.schema.docstrings import compose_docstring, one_line

Task = Literal["ner", "re", "ed", "eae"]
TASKS: tuple[Task, ...] = get_args(Task)
Kind = Literal["entity", "relation", "event"]

BASES: dict[str, type] = {"Entity": Entity, "Relation": Relation, "Event": Event}
KIND_OF_BASE: dict[str, Kind] = {"Entity": "entity", "Relation": "relation", "Event": "event"}
BASE_OF_KIND: dict[Kind, str] = {kind: base for base, kind in KIND_OF_BASE.items()}
UNTYPED = "str"  # the role type of a plain span
RESERVED_NAMES = frozenset(keyword.kwlist) | frozenset(BASES) | {UNTYPED, "list"}

_KINDS_OF_TASK: dict[Task, tuple[Kind, ...]] = {
    "ner": ("entity",),
    "re": ("entity", "relation"),
    "ed": ("event",),
    "eae": ("entity", "event"),
}


@dataclasses.dataclass(frozen=True)
class Role:
    """A place in a relation (`head`, `tail`) or an event.

    `types`: entity classes, ``Entity`` (any), ``str``.
    """

    name: str
    types: tuple[str, ...]
    repeated: bool = False


@dataclasses.dataclass(frozen=True)
class Concept:
    """One class of a schema.

    `parent` is another concept of the same kind, or None directly under the base class. `description` is
    kept as one line. `exemplars` are surfaces (triggers, for events). `roles` are those declared here;
    inherited ones come by `Schema.roles_of`. `label` is the name the user or the corpus gave, when the
    class name was made from it.
    """

    name: str
    kind: Kind
    parent: str | None = None
    description: str = ""
    exemplars: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    label: str | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "description", one_line(self.description))

    @property
    def docstring(self) -> str:
        """Description and exemplars as the class's docstring, or an empty string."""
        return compose_docstring(self.description, self.exemplars, self.kind)


@dataclasses.dataclass(frozen=True)
class Schema:
    """What to look for: concepts in the order of their declaration, checked against each other.

    `declared` holds classes the user wrote in Python, so that answers come back as instances of these.
    Raises `UsageError` for a bad or repeated name, an unknown parent or role type, or wrong roles.
    """

    concepts: tuple[Concept, ...]
    declared: Mapping[str, type] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        seen: dict[str, Concept] = {}
        entities = {concept.name for concept in self.entities}
        for concept in self.concepts:
            _check_name(concept, seen)
            _check_roles(concept, entities)
            seen[concept.name] = concept

    def __reduce__(self):
        return Schema, (self.concepts,)  # classes made here cannot be pickled, and are made again on demand

    @property
    def entities(self) -> tuple[Concept, ...]:
        """The concepts under `Entity`."""
        return tuple(concept for concept in self.concepts if concept.kind == "entity")

    @property
    def relations(self) -> tuple[Concept, ...]:
        """The concepts under `Relation`."""
        return tuple(concept for concept in self.concepts if concept.kind == "relation")

    @property
    def events(self) -> tuple[Concept, ...]:
        """The concepts under `Event`."""
        return tuple(concept for concept in self.concepts if concept.kind == "event")

    @functools.cached_property
    def by_name(self) -> Mapping[str, Concept]:
        """Class name -> concept."""
        return types.MappingProxyType({concept.name: concept for concept in self.concepts})

    @functools.cached_property
    def classes(self) -> dict[str, type]:
        """Class name -> Python class, under `Entity`, `Relation` or `Event`, in the order of the schema."""
        made: dict[str, type] = {}
        for concept in self.concepts:
            if concept.name in self.declared:
                made[concept.name] = self.declared[concept.name]
                continue
            base = made[concept.parent] if concept.parent else BASES[BASE_OF_KIND[concept.kind]]
            made[concept.name] = type(concept.name, (base,), {"__module__": __name__})
            # Set afterwards: a class body refuses a docstring with a lone surrogate.
            made[concept.name].__doc__ = concept.docstring or None
        return made

    def roles_of(self, name: str) -> tuple[Role, ...]:
        """The roles of concept `name`, inherited ones first.

        A relation that declares none links any two entities.
        """
        concept = self.by_name[name]
        if concept.parent is not None:
            inherited = self.roles_of(concept.parent)
        elif concept.kind == "relation":
            inherited = (Role("head", ("Entity",)), Role("tail", ("Entity",)))
        else:
            inherited = ()
        roles = {role.name: role for role in (*inherited, *concept.roles)}
        return tuple(roles.values())

    def for_task(self, task: Task) -> "Schema":
        """Only what `task` needs: entity classes for NER, with relations for RE, with events for EAE.

        ED shows events without their roles. Raises `UsageError` for an unknown task.
        """
        if task not in TASKS:
            raise UsageError(f"unknown task {task!r}: one of {', '.join(TASKS)}")
        if task not in self._schema_of_task:
            kept = tuple(concept for concept in self.concepts if concept.kind in _KINDS_OF_TASK[task])
            if task == "ed":
                kept = tuple(dataclasses.replace(concept, roles=()) for concept in kept)
            self._schema_of_task[task] = Schema(kept, self.declared)
        return self._schema_of_task[task]

    @functools.cached_property
    def _schema_of_task(self) -> dict[Task, "Schema"]:
        return {}  # made once each: every record of a corpus asks for one, and for its classes


def schema_of_concepts(concepts: tuple[Concept, ...], where: str) -> Schema:
    """The schema of these concepts; `UsageError` opening with `where` if they are none or do not fit together."""
    if not concepts:
        raise UsageError(f"{where}: no class and no label in it")
    try:
        return Schema(concepts)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_name(concept: Concept, seen: Mapping[str, Concept]) -> None:
    name = concept.name
    if not (name.isascii() and name.isidentifier()):
        raise UsageError(f"class name {name!r} is no ASCII identifier: write it like Person or BirthPlace")
    if name in RESERVED_NAMES:
        raise UsageError(f"class name {name!r} is taken by Python or by the base classes: choose another")
    if name in seen:
        raise UsageError(f"class {name} is declared twice: every class of a schema needs its own name")
    if concept.parent is None:
        return
    parent = seen.get(concept.parent)
    if parent is None:
        raise UsageError(
            f"class {name}: its parent {concept.parent!r} is not declared above it. "
            "A parent is Entity, Relation, Event or an earlier class"
        )
    if parent.kind != concept.kind:
        raise UsageError(
            f"class {name} is of kind {concept.kind}, its parent {parent.name} of kind {parent.kind}"
        )


def _check_roles(concept: Concept, entities: set[str]) -> None:
    names = [role.name for role in concept.roles]
    if concept.kind == "entity" and names:
        raise UsageError(f"class {concept.name}: an entity has no roles, found {', '.join(names)}")
    if concept.kind == "relation" and not set(names) <= {"head", "tail"}:
        raise UsageError(
            f"class {concept.name}: a relation has the roles head and tail, found {', '.join(names)}"
        )
    for role in concept.roles:
        where = f"class {concept.name}, role {role.name!r}"
        if names.count(role.name) > 1:
            raise UsageError(f"{where}: declared twice")
        if not (role.name.isascii() and role.name.isidentifier()):
            raise UsageError(f"{where}: a role's name is an ASCII identifier, like attacker or birth_place")
        if not role.types:
            raise UsageError(f"{where}: no type. Write an entity class, Entity or str")
        unknown = [name for name in role.types if name not in entities | {"Entity", UNTYPED}]
        if unknown:
            raise UsageError(
                f"{where}: {', '.join(unknown)} is no entity class of this schema, nor Entity or str"
            )
        if concept.kind == "relation" and (role.repeated or UNTYPED in role.types):
            raise UsageError(f"{where}: one entity stands here, so neither list[...] nor str")
