"""`iepile`: the three JSON lines of IEPile's `schema.json`: types, roles or relations, and what belongs to which type.

    NER   ["人物", ...]            []                  {}
    RE    []                       ["主演", ...]       {}
    SPO   ["人物_父亲_人物", ...]   ["父亲", ...]       {"人物": ["父亲"]}
    EE    ["交往-感谢", ...]        ["时间", ...]       {"交往-感谢": ["时间"]}

Names are made from the labels by their sounds (`transliterated_name`); the labels stay beside them, and in the
descriptions, those of roles too. The types that a triple names become entity classes. A schema of several kinds is
written as the first of relations, events and entities that it has; the others are counted as lost.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Mapping

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import Concept, Kind, Role, Schema, schema_of_concepts
from kcx_jax.schema.data_files import read_json
from kcx_jax.schema.formats.field_notes import Note, with_notes, without_notes
from kcx_jax.schema.formats.json_text import json_text
from kcx_jax.schema.formats.losses import count_lost, keys_of
from kcx_jax.schema.labels import distinct_names, role_spelling_of, transliterated_name, transliterated_role

_FORM = "expected three lines: a list of types, a list of roles or relations, an object from type to roles"


def read(text: str, where: str, auto: bool = False) -> Schema:
    """The classes, always named by their sounds and told apart; `UsageError` naming the line."""
    lines = [(n, line) for n, line in enumerate(re.split("\r\n|\r|\n", text), 1) if line.strip()]
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
        for label in roles_of:
            if label not in types:
                raise UsageError(
                    f"{where}:{lines[2][0]}: {label!r} has roles and is no type of the first line"
                )
        named = distinct_names(types, transliterated_name)
        return schema_of_concepts(
            tuple(_event(named[label], label, roles_of.get(label, [])) for label in types), where
        )
    kind: Kind = "entity" if types else "relation"
    labels = types or names
    named = distinct_names(labels, transliterated_name)
    return schema_of_concepts(
        tuple(Concept(named[each], kind, None, each, label=each) for each in labels), where
    )


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)


def _event(name: str, label: str, labels: list[str]) -> Concept:
    names = distinct_names(labels, transliterated_role)
    notes = {names[role]: Note(role) for role in labels if role_spelling_of(names[role]) != role}
    roles = tuple(Role(names[role], ("Entity", "str"), True) for role in labels)
    return Concept(name, "event", None, with_notes(label, notes), (), roles, label)


def _typed_relations(triples: list[list[str]], where: str) -> Schema:
    ends = dict.fromkeys(end for head, _, tail in triples for end in (head, tail))
    entities = distinct_names(ends, transliterated_name)
    by_label: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for head, label, tail in triples:
        heads, tails = by_label.setdefault(label, ({}, {}))
        heads[entities[head]] = tails[entities[tail]] = None
    taken = set(entities.values())

    def relation_name(label: str) -> str:
        name = transliterated_name(label)
        return f"{name}Of" if name in taken else name

    names = distinct_names(by_label, relation_name, taken)
    classes = [Concept(name, "entity", None, label, label=label) for label, name in entities.items()]
    for label, (heads, tails) in by_label.items():
        roles = (Role("head", tuple(heads)), Role("tail", tuple(tails)))
        classes.append(Concept(names[label], "relation", None, label, (), roles, label))
    return schema_of_concepts(tuple(classes), where)


def write(schema: Schema, lost: Counter[str]) -> str:
    """The three lines. Raises `UsageError` for labels that their form would be misread from."""
    kinds: tuple[Kind, ...] = (
        ("entity", "relation") if schema.relations else ("event",) if schema.events else ("entity",)
    )
    roles_of = {concept.name: _role_labels(concept, schema) for concept in schema.events}
    plain = Schema(tuple(_without_role_labels(concept, roles_of) for concept in schema.concepts))
    kept = count_lost(plain, lost, kinds=kinds, descriptions=False, exemplars=False)
    keys = keys_of(kept, lost)
    lines: tuple[list[str], list[str], dict[str, list[str]]]
    if schema.relations:
        lines = _triples(schema, keys)
    elif schema.events:
        listed = {keys[concept.name]: list(roles_of[concept.name].values()) for concept in kept}
        lines = list(listed), list(dict.fromkeys(role for roles in listed.values() for role in roles)), listed
    else:
        lines = list(keys.values()), [], {}
    if not schema.relations and lines[0] and all(label.count("_") == 2 for label in lines[0]):
        raise UsageError(
            f"iepile would read labels such as {lines[0][0]!r} as type_relation_type: rename one"
        )
    text = "".join(json_text(line, indent=None) for line in lines)
    _count_changed(schema, kept, keys, text, lost)
    return text


def _count_changed(
    schema: Schema, kept: Collection[Concept], keys: Mapping[str, str], text: str, lost: Counter[str]
) -> None:
    """Count what does not come back as it is: classes that belong to no triple, names, and types of roles."""
    again = read(text, "iepile cannot hold this schema") if kept else Schema(())
    by_label = {(concept.kind, concept.label): concept for concept in again.concepts}
    for concept in kept:
        found = by_label.get((concept.kind, keys[concept.name]))
        if found is None:
            lost[f"{concept.kind} classes"] += 1
            continue
        if found.name != concept.name:
            lost["names of classes"] += 1
        changed = set(schema.roles_of(concept.name)) - set(found.roles)
        names = {role.name for role in found.roles}
        for what, count in (
            ("types of roles", sum(role.name in names for role in changed)),
            ("names of roles", sum(role.name not in names for role in changed)),
        ):
            if count:
                lost[what] += count


def _triples(schema: Schema, keys: Mapping[str, str]) -> tuple[list[str], list[str], dict[str, list[str]]]:
    keys = {**keys, "Entity": "Entity"}
    for label in keys.values():
        if "_" in label:
            raise UsageError(
                f"iepile joins labels by underscores, and the label {label!r} holds one: rename it"
            )
    types: list[str] = []
    names: dict[str, None] = {}
    relations_of: dict[str, list[str]] = {}
    for concept in schema.relations:
        label = keys[concept.name]
        head, tail = schema.roles_of(concept.name)
        types += [f"{keys[h]}_{label}_{keys[t]}" for h in head.types for t in tail.types]
        names[label] = None
        for one in head.types:
            relations_of.setdefault(keys[one], []).append(label)
    return types, list(names), relations_of


def _role_labels(concept: Concept, schema: Schema) -> dict[str, str]:
    """Role name -> label: what the description notes of it, or the corpus's spelling of its name."""
    notes = without_notes(concept.description)[1]
    return {
        role.name: notes.get(role.name, Note()).description or role_spelling_of(role.name)
        for role in schema.roles_of(concept.name)
    }


def _without_role_labels(concept: Concept, roles_of: Mapping[str, Mapping[str, str]]) -> Concept:
    description, notes = without_notes(concept.description)
    held = set(notes) <= set(roles_of.get(concept.name, ())) and not any(n.examples for n in notes.values())
    if not notes or not held:
        return concept
    return dataclasses.replace(concept, description=description)
