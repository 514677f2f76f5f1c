"""The ontology: label of an inventory, in any language -> one English class, with a description to show.

Keys are (inventory, kind, label). Two labels of one inventory share a class only where its file declares the
merge; a label without a class is an error that says which line to add where, never a guess. An inventory is
one YAML file, packaged in ``inventories/`` and named without its ending, or the user's own and named by its
path (``my.yaml``); its format is written in `kcx_jax.schema.ontology.inventory`. ``concepts/`` describes the
classes that inventories share.
"""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import KIND_OF_BASE, Concept, Kind, Role, Schema, Task
from kcx_jax.schema.docstrings import split_docstring
from kcx_jax.schema.ontology.inventory import (
    SECTIONS,
    Described,
    Inventory,
    folded,
    load_inventory,
    read_concepts,
)
from kcx_jax.schema.ontology.unmapped import unmapped, unmapped_role

_FOLDER = Path(__file__).parent
_ALIASES = {"native": "any"}
_KINDS: tuple[Kind, ...] = tuple(KIND_OF_BASE.values())


def inventories() -> tuple[str, ...]:
    """The inventories the package knows, by name."""
    return tuple(sorted(path.stem for path in (_FOLDER / "inventories").glob("*.yaml")))


def labels_of(inventory: str, kind: Kind = "entity") -> tuple[str, ...]:
    """The labels of an inventory, in its own order. Raises `UsageError` for an unknown inventory."""
    return tuple(_inventory(inventory).classes[kind].name_of)


def roles_of(inventory: str, event: str) -> tuple[str, ...] | None:
    """The role labels of an event label, in order; None where the inventory leaves them open."""
    roles = _inventory(inventory).roles.get(class_for(inventory, event, "event"))
    return None if roles is None else tuple(roles.name_of)


def class_for(inventory: str, label: str, kind: Kind = "entity") -> str:
    """The class of a label.

    Raises `KcxError` with the nearest classes, the file and the line to add when there is none.
    """
    known = _inventory(inventory)
    name = known.class_of(kind, label)
    if name is None and known.fold:
        name = _folded_names(kind).get(folded(label))
    if name is None:
        meant = _inventory("any").class_of(kind, label) or _folded_names(kind).get(folded(label))
        raise unmapped(known, kind, label, [*known.concepts[kind], *_shared(kind)], meant)
    return name


def label_for(inventory: str, name: str, kind: Kind = "entity") -> str:
    """The inventory's label of a class: the first one of a declared merge. Raises `UsageError` for no such class."""
    known = _inventory(inventory)
    label = known.classes[kind].label_of.get(name)
    if label is None and known.fold and name in _shared(kind):
        return name
    if label is None:
        listed = ", ".join(known.classes[kind].label_of) or "none"
        raise UsageError(f"inventory {inventory!r} has no {kind} class {name!r}: {listed}")
    return label


def role_for(inventory: str, event: str, role: str) -> str | None:
    """The name of a role of the event label `event`; None where the inventory leaves that event's roles open.

    Raises `KcxError` with the nearest roles and the line to add for a role the event does not have.
    """
    known = _inventory(inventory)
    name = class_for(inventory, event, "event")
    roles = known.roles.get(name)
    if roles is None:
        return None
    if role not in roles.name_of:
        raise unmapped_role(known, name, role)
    return roles.name_of[role]


def role_label_for(inventory: str, name: str, role: str) -> str:
    """The inventory's label of the role `role` of the event class `name`. Raises `UsageError` for no such role."""
    label_for(inventory, name, "event")
    roles = _inventory(inventory).roles.get(name)
    if roles is None or role not in roles.label_of:
        listed = ", ".join(roles.label_of) if roles else "none"
        raise UsageError(f"inventory {inventory!r}: the event {name} has no role {role!r}: {listed}")
    return roles.label_of[role]


def merges_of(inventory: str) -> dict[str, tuple[str, ...]]:
    """The declared merges: class, or ``Event.role``, -> the labels that share it."""
    return _inventory(inventory).merges


def ontology_version(inventory: str | None = None) -> str:
    """Twelve hex digits over the shared concepts and `inventory`; without one, over all packaged inventories.

    What one version maps and describes is the same wherever it is installed.
    """
    files = sorted((_FOLDER / "concepts").glob("*.yaml"))
    files += [_path(name) for name in (inventories() if inventory is None else [inventory])]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_text(encoding="utf-8-sig").encode() + b"\0")
    return digest.hexdigest()[:12]


def concept_for(
    name: str, language: str = "en", label: str | None = None, inventory: str | None = None
) -> Concept:
    """The class `name` with its description and exemplars in `language`, as `inventory` means it.

    Raises `UsageError` when the class or the language is not in the ontology.
    """
    own = _inventory(inventory).concepts if inventory else {}
    for concepts in (own, {kind: _shared(kind) for kind in _KINDS}):
        for kind, described in concepts.items():
            if name in described:
                return _concept(name, kind, described[name], language, label)
    near = ", ".join(name for kind in _KINDS for name in _shared(kind))
    raise UsageError(f"the ontology ({_FOLDER / 'concepts'}) describes no class {name!r}: one of {near}")


def parent_of(name: str) -> str | None:
    """The broader class a shared class stands under, None for one at the top or unknown."""
    described = next((_shared(kind)[name] for kind in _KINDS if name in _shared(kind)), None)
    return described.parent if described else None


def schema_for(inventory: str, language: str = "en", task: Task | None = None) -> Schema:
    """The classes of an inventory as a schema, described in `language`, in the inventory's order.

    Entities, then relations with the types of head and tail that the corpus fixes, then events with their
    roles; `task` keeps what it needs. Classes stand side by side, for a corpus uses its narrowest label
    (`parent_of` has the broader class). A concept's `label` is the inventory's own label (the first one where
    several are merged).
    """
    known = _inventory(inventory)
    concepts = []
    for kind in _KINDS:
        for name, label in known.classes[kind].label_of.items():
            described = known.concepts[kind].get(name) or _shared(kind)[name]
            roles = _roles(known, kind, name)
            concepts.append(_concept(name, kind, described, language, label, roles))
    schema = Schema(tuple(concepts))
    return schema if task is None else schema.for_task(task)


def _roles(known: Inventory, kind: Kind, name: str) -> tuple[Role, ...]:
    """Head and tail of a relation, or the roles of an event, with their types."""
    types = known.types.get(name, {})
    if kind == "relation":
        return tuple(Role(end, types[end]) for end in ("head", "tail") if end in types)
    if kind == "event" and name in known.roles:
        return tuple(Role(role, types.get(role, ("str",)), True) for role in known.roles[name].label_of)
    return ()


def _concept(
    name: str, kind: Kind, described: Described, language: str, label: str | None, roles=()
) -> Concept:
    if language not in described.docstrings:
        listed = ", ".join(described.docstrings)
        raise UsageError(f"the ontology has no description of {name} in {language!r}: one of {listed}")
    description, exemplars = split_docstring(described.docstrings[language], kind)
    return Concept(name, kind, None, description, exemplars, roles, label=label)


@functools.cache
def _shared(kind: Kind) -> Mapping[str, Described]:
    """The classes of `kind` that inventories share, described."""
    path = _FOLDER / "concepts" / f"{SECTIONS[kind]}.yaml"
    return read_concepts(path, path.read_text(encoding="utf-8"))


@functools.cache
def _folded_names(kind: Kind) -> dict[str, str]:
    """Every shared class by its own name, folded."""
    return {folded(name): name for name in _shared(kind)}


def _path(inventory: str) -> Path:
    if inventory.endswith((".yaml", ".yml")):
        return Path(inventory)
    name = _ALIASES.get(inventory, inventory)
    if name not in inventories():
        raise UsageError(
            f"unknown inventory {inventory!r}: one of {', '.join(inventories())}, "
            "or the path of your own, ending in .yaml"
        )
    return _FOLDER / "inventories" / f"{name}.yaml"


def _inventory(inventory: str) -> Inventory:
    path = _path(inventory)
    try:
        stat = path.stat()
    except OSError as error:
        raise UsageError(f"cannot read the inventory {path}: {error.strerror or error}") from error
    return _loaded(path, (stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=64)
def _loaded(path: Path, stamp: tuple[int, int]) -> Inventory:
    """An inventory by its file; `stamp` makes a file that changed be read again."""
    return load_inventory(path, {kind: _shared(kind) for kind in _KINDS})
