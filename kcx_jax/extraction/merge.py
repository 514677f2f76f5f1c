"""The answers of several tasks about one text -> one record; what is the same by offsets is one thing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink
from kcx_jax.extraction.results import Key, entity_key
from kcx_jax.schema import Task

# What earlier answers left, and the pair, which names mentions that are no longer there.
_REPLACED = ("unresolved", "parse_problems", "loose", "pair")


def merge(source: Record, views: Mapping[Task, Record]) -> Record:
    """`source` with what the tasks found in its text, in place of its own annotation.

    Mentions of equal type and offsets are one entity; mentions that differ in type stay side by side. An
    event of task "ed" gives way to one of task "eae" with the same type and trigger. The lists of what could
    not be used, or was found only by a looser form (`meta`), are joined; those of an earlier extraction in
    `source` are dropped, as is its pair, whose mentions are no longer there.
    """
    mentions: dict[Key, Mention] = {}
    for view in views.values():
        mentions.update({entity_key(mention): mention for mention in view.entities or ()})
    ids = {key: f"e{number}" for number, key in enumerate(sorted(mentions))}
    entities = tuple(replace(mentions[key], id=ids[key]) for key in ids)
    relations = [link for view in views.values() for link in _relations(view, ids)]
    meta: dict[str, Any] = {name: value for name, value in source.meta.items() if name not in _REPLACED}
    for view in views.values():
        for name, entries in view.meta.items():
            meta[name] = [*meta.get(name, []), *entries]
    return replace(
        source,
        entities=entities if any(view.entities is not None for view in views.values()) else None,
        relations=tuple(relations) if "re" in views else None,
        events=_events(views, ids) if {"ed", "eae"} & views.keys() else None,
        meta=meta,
    )


def _renamed(view: Record, ids: Mapping[Key, str]) -> dict[str, str]:
    """A view's entity id -> the merged record's."""
    return {mention.id: ids[entity_key(mention)] for mention in view.entities or ()}


def _relations(view: Record, ids: Mapping[Key, str]) -> list[RelationLink]:
    names = _renamed(view, ids)
    return [RelationLink(link.type, names[link.head], names[link.tail]) for link in view.relations or ()]


def _events(views: Mapping[Task, Record], ids: Mapping[Key, str]) -> tuple[EventMention, ...]:
    events: list[EventMention] = []
    if "eae" in views:
        names = _renamed(views["eae"], ids)
        for event in views["eae"].events or ():
            arguments = tuple(renamed(argument, names) for argument in event.arguments)
            events.append(replace(event, arguments=arguments))
    known = {(event.type, event.trigger) for event in events}
    if "ed" in views:
        events += [e for e in views["ed"].events or () if (e.type, e.trigger) not in known]
    return tuple(sorted(events, key=lambda event: (event.trigger.start, event.trigger.end, event.type)))


def renamed(argument: Argument, names: Mapping[str, str]) -> Argument:
    """The argument with the id that its entity has now, by the one it had; a plain span as it is."""
    return argument if argument.entity is None else replace(argument, entity=names[argument.entity])
