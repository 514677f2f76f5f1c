"""One inventory: the labels of a corpus and the classes they become, read from a YAML file.

    title: An example corpus          # and `source:`, where its labels are published
    entities:
      Person: PER                     # class: label
      Location: [LOC, GPE]            # several labels of one class: only with a declared merge
    relations:
      BirthPlace: {label: born_in, head: Person, tail: [Location]}   # or `BirthPlace: born_in`: any two
    events:
      Attack:
        label: Conflict.Attack
        roles:                        # a list of labels names each role by its own spelling;
          attacker: Attacker          # role: label, a list of labels,
          place: {label: Place, types: [Location]}                   # or with entity classes for its fillers
    merges: [Location]                # classes, and roles as `Attack.place`, that several labels share
    fold: true                        # labels differ neither by case and width nor by spaces and punctuation,
                                      # and the name of a class is a label of it
    concepts:                         # classes that only this corpus has, or that it means differently
      entities:
        Gadget: {en: "A small tool. Examples: whisk, torch", parent: Product}

A class without a description, here or among the shared concepts, is refused; so are keys other than these.
"""

import difflib
import reprlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import RESERVED_NAMES, UNTYPED, Kind
from kcx_jax.schema.data_files import read_yaml
from kcx_jax.schema.labels import role_name_of

SECTIONS: dict[Kind, str] = {"entity": "entities", "relation": "relations", "event": "events"}
_KEYS = {"title", "source", *SECTIONS.values(), "merges", "fold", "concepts"}
_ENDS = ("head", "tail")


@dataclass(frozen=True)
class Described:
    """What a class means: language -> docstring (description, then exemplars), and its broader class."""

    docstrings: Mapping[str, str]
    parent: str | None = None


@dataclass
class Names:
    """Labels and what they are called, in the order of the file. `label_of` holds the first of merged labels."""

    name_of: dict[str, str] = field(default_factory=dict)
    label_of: dict[str, str] = field(default_factory=dict)

    def labels(self, name: str) -> tuple[str, ...]:
        """All labels called `name`."""
        return tuple(label for label, known in self.name_of.items() if known == name)


@dataclass
class Inventory:
    """The labels of one corpus.

    `roles`: event class -> its roles; an event absent there leaves its roles open. `types`: relation or event
    class -> role -> the entity classes that may stand there. `merges`: what several labels share.
    """

    path: Path
    text: str
    title: str
    source: str
    fold: bool
    classes: dict[Kind, Names]
    roles: dict[str, Names]
    types: dict[str, dict[str, tuple[str, ...]]]
    merges: dict[str, tuple[str, ...]]
    concepts: dict[Kind, Mapping[str, Described]]
    folded: dict[Kind, dict[str, str]] = field(default_factory=dict)

    def key(self, label: str) -> str:
        """What of a label counts: all of it, or what folding leaves."""
        return folded(label) if self.fold else label

    def class_of(self, kind: Kind, label: str) -> str | None:
        """The class listed for a label, or None."""
        return (self.folded if self.fold else {kind: self.classes[kind].name_of})[kind].get(self.key(label))


def folded(label: str) -> str:
    """The letters, digits and vowel signs of a label, without case and width."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return "".join(c for c in plain if unicodedata.category(c)[0] in "LMN")


def load_inventory(path: Path, shared: Mapping[Kind, Mapping[str, Described]]) -> Inventory:
    """The inventory in a file. Raises `UsageError` naming file and key for what is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from error
    value = _mapping(read_yaml(text, str(path)), str(path))
    _only(value, _KEYS, str(path))
    fold = value.get("fold", False)
    if not isinstance(fold, bool):
        raise UsageError(f"{path}: fold: must be true or false")
    found = Inventory(
        path,
        text,
        _text(value.get("title", path.stem), f"{path}: title"),
        _text(value.get("source", ""), f"{path}: source"),
        fold,
        {kind: Names() for kind in SECTIONS},
        {},
        {},
        {},
        _concepts(value.get("concepts", {}), f"{path}: concepts"),
    )
    for kind, section in SECTIONS.items():
        for name, entry in _mapping(value.get(section, {}), f"{path}: {section}").items():
            where = f"{path}: {section}: {name}"
            _described(name, kind, found, shared, where)
            _add(found, kind, name, entry, where)
    _check_types(found)
    _merge(found, value.get("merges", []))
    if fold:
        found.folded = {kind: _fold(found, kind) for kind in SECTIONS}
    return found


def read_concepts(path: Path, text: str) -> dict[str, Described]:
    """The classes described in a file of shared concepts."""
    return _docstrings(read_yaml(text, str(path)), str(path))


def _concepts(value: Any, where: str) -> dict[Kind, Mapping[str, Described]]:
    sections = _mapping(value, where)
    _only(sections, set(SECTIONS.values()), where)
    return {
        kind: _docstrings(sections.get(section, {}), f"{where}: {section}")
        for kind, section in SECTIONS.items()
    }


def _docstrings(value: Any, where: str) -> dict[str, Described]:
    classes = {}
    for name, entry in _mapping(value, where).items():
        here = f"{where}: {name}"
        texts = {key: _text(text, f"{here}: {key}") for key, text in _mapping(entry, here).items()}
        parent = texts.pop("parent", None)
        if not texts:
            raise UsageError(f'{here}: no description; write one by language, such as {{en: "A ..."}}')
        classes[name] = Described(texts, parent)
    return classes


def _described(
    name: str, kind: Kind, found: Inventory, shared: Mapping[Kind, Mapping[str, Described]], where: str
) -> None:
    """Refuse a class name that is none, is used twice, or has no description."""
    if not (name.isascii() and name.isidentifier()) or name in RESERVED_NAMES:
        raise UsageError(f"{where}: is no class name: write it like Person or BirthPlace")
    if any(name in names.label_of for names in found.classes.values()):
        raise UsageError(f"{where}: the class stands under two kinds; give one of them another name")
    known = [*found.concepts[kind], *shared[kind]]
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3)) or "none"
        raise UsageError(
            f"{where}: no such class. Nearest: {near}. To add it, describe it in {found.path} "
            f'under concepts: {SECTIONS[kind]}:  {name}: {{en: "A ..."}}'
        )


def _add(found: Inventory, kind: Kind, name: str, entry: Any, where: str) -> None:
    """Enter a class: its labels, and what a relation or an event has besides."""
    if isinstance(entry, dict) and kind != "entity":
        _only(entry, {"label", *_ENDS} if kind == "relation" else {"label", "roles"}, where)
        if kind == "relation":
            found.types[name] = {
                end: tuple(_texts(entry[end], f"{where}: {end}")) for end in _ENDS if end in entry
            }
        elif "roles" in entry:
            found.roles[name], found.types[name] = _event_roles(entry["roles"], f"{where}: roles")
        entry, where = entry.get("label"), f"{where}: label"
    _enter(found.classes[kind], name, _texts(entry, where), where)


def _event_roles(value: Any, where: str) -> tuple[Names, dict[str, tuple[str, ...]]]:
    roles, types = Names(), {}
    if isinstance(value, list):
        value = _spelled(_texts(value, where, empty=True), where)
    for role, entry in _mapping(value, where).items():
        here = f"{where}: {role}"
        if not (role.isascii() and role.isidentifier()):
            raise UsageError(f"{here}: a role's name is an ASCII identifier, like attacker or birth_place")
        if isinstance(entry, dict):
            _only(entry, {"label", "types"}, here)
            types[role] = tuple(_texts(entry.get("types", UNTYPED), f"{here}: types"))
            entry = entry.get("label")
        _enter(roles, role, _texts(entry, here), here)
    return roles, types


def _spelled(labels: list[str], where: str) -> dict[str, str]:
    """Each role by its own spelling."""
    label_of: dict[str, str] = {}
    for label in labels:
        name = role_name_of(label)
        if name is None:
            raise UsageError(f"{where}: {label!r} is no role name; write `name: {label}`, in ASCII letters")
        if label_of.setdefault(name, label) != label:
            raise UsageError(f"{where}: the roles {label_of[name]!r} and {label!r} would both become {name}")
    return label_of


def _enter(names: Names, name: str, labels: list[str], where: str) -> None:
    for label in labels:
        if label in names.name_of:
            raise UsageError(
                f"{where}: the label {label!r} stands under {names.name_of[label]} and under {name}"
            )
        names.name_of[label] = name
    names.label_of[name] = labels[0]


def _check_types(found: Inventory) -> None:
    """Every type of a head, tail or role is an entity class of the inventory."""
    known = {"Entity", *found.classes["entity"].label_of}
    for name, roles in found.types.items():
        allowed = known if name in found.classes["relation"].label_of else {*known, UNTYPED}
        for role, types in roles.items():
            for type_ in types:
                if type_ not in allowed:
                    raise UsageError(
                        f"{found.path}: {name}: {role}: {type_} is no class under entities: "
                        f"({', '.join(sorted(allowed))})"
                    )


def _merge(found: Inventory, declared: Any) -> None:
    """Note the declared merges; refuse labels that share a class without one, and declarations of none."""
    shared = dict(_shared_labels(found))
    where = f"{found.path}: merges"
    listed = list(shared) if found.fold else _texts(declared, where, empty=True)
    for name in listed:
        if name not in shared:
            raise UsageError(f"{where}: {name}: has one label or none; a merge is of several")
    for name, labels in shared.items():
        if name not in listed:
            raise UsageError(
                f"{found.path}: {name}: the labels {', '.join(labels)} would be merged; "
                f"if they are to be, put {name} into the list merges:"
            )
    found.merges = shared


def _shared_labels(found: Inventory) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Class or ``Event.role`` -> its labels, where there are several."""
    listed = [("", names) for names in found.classes.values()]
    listed += [(f"{event}.", names) for event, names in found.roles.items()]
    for prefix, names in listed:
        if len(names.label_of) < len(names.name_of):
            for name in names.label_of:
                if len(labels := names.labels(name)) > 1:
                    yield prefix + name, labels


def _fold(found: Inventory, kind: Kind) -> dict[str, str]:
    names: dict[str, str] = {}
    for label, name in found.classes[kind].name_of.items():
        if names.setdefault(folded(label), name) != name:
            other = names[folded(label)]
            raise UsageError(f"{found.path}: {name}: the label {label!r} is folded like one of {other}")
    return names


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: must be a mapping, not {reprlib.repr(value)}")
    return value


def _only(value: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in value:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}: one of {', '.join(sorted(known))}")


def _texts(value: Any, where: str, empty: bool = False) -> list[str]:
    """A text or a list of texts, as a list."""
    texts = value if isinstance(value, list) else [value]
    if not texts and not empty:
        raise UsageError(f"{where}: must be a text or a list of texts, not empty")
    return [_text(text, where) for text in texts]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where}: must be a text, not {reprlib.repr(value)} (quote it)")
    return value
