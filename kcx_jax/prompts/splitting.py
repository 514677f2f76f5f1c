"""A schema too large for one prompt -> several, each with some of the classes and what these need."""

import dataclasses
import functools
from collections.abc import Callable, Collection

from kcx_jax.errors import UsageError
from kcx_jax.prompts.extraction import extraction_prefix
from kcx_jax.schema import Concept, Schema, Task


def split_schema(
    schema: Schema,
    task: Task,
    max_classes: int | None = None,
    max_tokens: int | None = None,
    *,
    count_tokens: Callable[[str], int] = len,
) -> tuple[Schema, ...]:
    """Schemas whose answers together make up the answer to `schema`, filled one after the other in its order.

    Every class that the task lists stands in exactly one of them (`max_classes` counts these), relations and
    events together with the entity classes their roles name, those below and those above. A class whose
    parent went to another group stands directly under its base, with the roles it inherits. No prefix is
    longer than `max_tokens`, as `count_tokens` counts its text. Where an argument's class is none its role
    names, it may stand as a plain string. Raises `UsageError` for a limit below 1, and for a class that
    alone exceeds `max_tokens`.
    """
    for name, limit in (("max_classes", max_classes), ("max_tokens", max_tokens)):
        if limit is not None and limit < 1:
            raise UsageError(f"{name} is {limit}: a prompt needs room for one class at least")
    whole = schema.for_task(task)

    names = [concept.name for concept in listed_concepts(whole, task)]

    def length(start: int, count: int) -> int:
        return count_tokens(extraction_prefix(restricted(whole, task, names[start : start + count]), task))

    groups: list[Schema] = []
    start = 0
    while start < len(names):
        count = min(max_classes or len(names), len(names) - start)
        if max_tokens is not None:
            if (tokens := length(start, 1)) > max_tokens:
                raise UsageError(
                    f"class {names[start]} with the classes it needs takes {tokens} tokens, more than max_tokens "
                    f"{max_tokens}: raise the limit, or shorten its description and exemplars"
                )
            count = _longest(count, functools.partial(length, start), max_tokens)
        groups.append(restricted(whole, task, names[start : start + count]))
        start += count
    return tuple(groups) or (whole,)


def _longest(most: int, length: Callable[[int], int], limit: int) -> int:
    """How many classes, `most` at the most, stay within the limit, as one does; few prompts are rendered for it."""
    fits, too_many = 1, most + 1
    while too_many - fits > 1:
        tried = min(2 * fits, most) if too_many > most else (fits + too_many) // 2
        if length(tried) <= limit:
            fits = tried
        else:
            too_many = tried
    return fits


def listed_concepts(schema: Schema, task: Task) -> tuple[Concept, ...]:
    """The concepts whose instances an answer lists, not those that only stand inside others."""
    return {"ner": schema.entities, "re": schema.relations}.get(task, schema.events)


def restricted(schema: Schema, task: Task, names: Collection[str]) -> Schema:
    """The classes of these names and, below relations and events, the entity classes that their roles need."""
    kept = set(names)
    if task != "ner":
        types = {
            each
            for name in names
            if name in schema.by_name
            for role in schema.roles_of(name)
            for each in role.types
        }
        for concept in schema.entities:
            line = _line(schema, concept.name)
            if types & {*line, "Entity"}:
                kept.update(line)
    return Schema(
        tuple(_detached(schema, each, kept) for each in schema.concepts if each.name in kept), schema.declared
    )


def _line(schema: Schema, name: str | None) -> list[str]:
    """A class and those above it."""
    line = []
    while name is not None:
        line.append(name)
        name = schema.by_name[name].parent
    return line


def _detached(schema: Schema, concept: Concept, kept: set[str]) -> Concept:
    if concept.parent is None or concept.parent in kept:
        return concept
    return dataclasses.replace(concept, parent=None, roles=schema.roles_of(concept.name))
