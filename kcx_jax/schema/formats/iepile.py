"""`iepile`: the three JSON lines of IEPile's `schema.json`: types, roles or relations, and what belongs to which type.

    NER   ["人物", ...]            []                  {}
    RE    []                       ["主演", ...]       {}
    SPO   ["人物_父亲_人物", ...]   ["父亲", ...]       {"人物": ["父亲"]}
    EE    ["交往-感谢", ...]        ["时间", ...]       {"交往-感谢": ["时间"]}

Names are made from the labels by their sounds (`transliterated_name`), the labels stay beside them and are the
descriptions. The types that a
triple names become entity classes. A schema of several kinds is written as the first of relations, events and
entities that it has; the others are counted as lost.
"""

from collections import Counter
from collections.abc import Iterable

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import Concept, Kind, Role, Schema
from kcx_jax.schema.data_files import read_json
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost
from kcx_jax.schema.labels import transliterated_name, transliterated_role

_FORM = "expected three lines: a list of types, a list of roles or relations, an object from type to roles"


def read(text: str, where: str) -> Schema:
    """The classes; `UsageError` naming the line."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) != 3:
        raise UsageError(f"{where}: {_FORM}, found {len(lines)}")
    types, names, roles_of = (read_json(line, f"{where}:{number}") for number, line in lines)
    if not (
        _texts(types) and _texts(names) and isinstance(roles_of, dict) and all(map(_texts, roles_of.values()))
    ):
        raise UsageError(f"{where}: {_FORM}")
    triples = [label.split("_") for label in types]
    if types and all(len(parts) == 3 for parts in triples):
        return _typed_relations(triples, where)
    if roles_of:
        return Schema(tuple(_named(types, "event", where, roles_of)))
    return Schema(tuple(_named(types or names, "entity" if types else "relation", where)))


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _named(
    labels: Iterable[str], kind: Kind, where: str, roles_of: dict[str, list[str]] | None = None
) -> Iterable[Concept]:
    seen: dict[str, str] = {}
    for label in labels:
        name = transliterated_name(label)
        if seen.setdefault(name, label) != label:
            raise UsageError(f"{where}: the labels {seen[name]!r} and {label!r} both become class {name}")
        roles = tuple(
            Role(transliterated_role(role), ("Entity", "str"), True)
            for role in (roles_of or {}).get(label, ())
        )
        yield Concept(name, kind, None, label, (), roles, label)


def _typed_relations(triples: list[list[str]], where: str) -> Schema:
    ends = dict.fromkeys(end for head, _, tail in triples for end in (head, tail))
    entities = {concept.label: concept.name for concept in _named(ends, "entity", where)}
    by_label: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for head, label, tail in triples:
        heads, tails = by_label.setdefault(label, ({}, {}))
        heads[entities[head]] = tails[entities[tail]] = None
    taken = set(entities.values())
    relations = []
    for concept in _named(by_label, "relation", where):
        heads, tails = by_label[concept.label or ""]
        roles = (Role("head", tuple(heads)), Role("tail", tuple(tails)))
        name = f"{concept.name}Of" if concept.name in taken else concept.name
        relations.append(Concept(name, "relation", None, concept.description, (), roles, concept.label))
    classes = [Concept(name, "entity", None, label or "", label=label) for label, name in entities.items()]
    return Schema((*classes, *relations))


def write(schema: Schema, lost: Counter[str]) -> str:
    """The three lines."""
    kinds: tuple[Kind, ...] = (
        ("entity", "relation") if schema.relations else ("event",) if schema.events else ("entity",)
    )
    kept = count_lost(schema, lost, kinds=kinds, descriptions=False, exemplars=False)
    types: list[str] = []
    names: dict[str, None] = {}
    roles_of: dict[str, list[str]] = {}
    label_of = {concept.name: concept.label or concept.name for concept in schema.concepts} | {
        "Entity": "Entity"
    }
    for concept in kept:
        label = label_of[concept.name]
        if concept.kind == "relation":
            head, tail = schema.roles_of(concept.name)
            types += [f"{label_of[h]}_{label}_{label_of[t]}" for h in head.types for t in tail.types]
            names[label] = None
            for one in head.types:
                roles_of.setdefault(label_of[one], []).append(label)
        elif concept.kind == "event":
            types.append(label)
            roles_of[label] = [role.name for role in schema.roles_of(concept.name)]
            names |= dict.fromkeys(roles_of[label])
        elif kinds == ("entity",):
            types.append(label)
    lines: tuple[object, ...] = (types, list(names), roles_of)
    return "".join(json_text(line, indent=None) for line in lines)
