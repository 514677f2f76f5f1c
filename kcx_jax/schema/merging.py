"""Several schemas as one: equal classes are shared, different ones of one name are refused or renamed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import Concept, Schema


def merge_schemas(schemas: Mapping[str, Schema], suffixes: Mapping[str, str] | None = None) -> Schema:
    """One schema of several, in their order; the keys name them in messages.

    Classes of one name are shared where they mean the same: description, exemplars, parent and roles, and all
    that these refer to. Where they differ, a class gets the suffix of its schema (none: its name stays) behind its
    name, and parents and roles follow. Raises `UsageError` for different classes that still have one name, for
    suffixes of unknown schemas, and for those that no name can end in.
    """
    suffixes = suffixes or {}
    for suffix in suffixes.values():
        if not (suffix.isascii() and f"A{suffix}".isidentifier()):
            raise UsageError(f"no class name can end in the suffix {suffix!r}: use A-Z, a-z, 0-9 and _")
    if unknown := [name for name in suffixes if name not in schemas]:
        raise UsageError(f"suffixes of unknown schemas: {', '.join(unknown)}")
    meanings = {key: _meanings(schema) for key, schema in schemas.items()}
    first: dict[tuple[str, Any], str] = {}  # the schema in which a meaning of a name is met first
    several: dict[str, set] = {}
    for key, named in meanings.items():
        for name, meaning in named.items():
            first.setdefault((name, meaning), key)
            several.setdefault(name, set()).add(meaning)
    merged: dict[str, Concept] = {}
    origin: dict[str, tuple[str, str, Any]] = {}
    declared: dict[str, type] = {}
    for key, schema in schemas.items():
        names = {
            name: name + suffixes.get(first[name, meaning], "") if len(several[name]) > 1 else name
            for name, meaning in meanings[key].items()
        }
        for concept in schema.concepts:
            meaning = meanings[key][concept.name]
            name = names[concept.name]
            other, old, known = origin.setdefault(name, (key, concept.name, meaning))
            if (old, known) != (concept.name, meaning):
                raise UsageError(_refusal(name, (other, merged[name]), (key, concept)))
            if name not in merged:
                merged[name] = _renamed(concept, names)
                if merged[name] == concept and concept.name in schema.declared:
                    declared[name] = schema.declared[concept.name]
    return Schema(tuple(merged.values()), declared)


def _meanings(schema: Schema) -> dict[str, Any]:
    """What each class says, with what the classes say that it refers to."""
    found: dict[str, Any] = {}
    for concept in sorted(schema.concepts, key=lambda each: each.kind != "entity"):  # roles refer to entities
        types = sorted({name for role in concept.roles for name in role.types})
        referred = [*([concept.parent] if concept.parent else []), *types]
        found[concept.name] = (concept, tuple(found.get(name) for name in referred))
    return found


def _renamed(concept: Concept, names: Mapping[str, str]) -> Concept:
    roles = tuple(
        dataclasses.replace(role, types=tuple(names.get(name, name) for name in role.types))
        for role in concept.roles
    )
    parent = names[concept.parent] if concept.parent else None
    return dataclasses.replace(concept, name=names[concept.name], parent=parent, roles=roles)


def _refusal(name: str, one: tuple[str, Concept], other: tuple[str, Concept]) -> str:
    said = [f"in {key}: {_in_words(concept)}" for key, concept in (one, other)]
    return (
        f"the class {name} means different things, {said[0]}, {said[1]}. Give one of the schemas a suffix for its own "
        "(--suffix NAME, one for each INPUT after the first; in Python suffixes={...})"
    )


def _in_words(concept: Concept) -> str:
    text = concept.docstring if len(concept.docstring) <= 80 else f"{concept.docstring[:77]}..."
    roles = ", ".join(f"{role.name}: {' | '.join(role.types)}" for role in concept.roles)
    parts = [concept.kind, f"under {concept.parent}" if concept.parent else "", repr(text), roles]
    return " ".join(part for part in parts if part)
