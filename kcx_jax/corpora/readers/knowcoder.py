"""`knowcoder`: KnowCoder's samples, `{"sentence", "entities" | "relations" | "events"}`.

    entities [{"name", "type", "pos"}], relations [{"type", "head", "tail"}], events [{"type", "trigger", "pos",
    "arguments": [{"role", "name", "type", "pos"}]}]

`pos` is [start, end) in characters, or "" where nobody knows: then the surface is lined up with the text, the k-th of
equal entities at the k-th place, relations and events by nearness (see `surfaces`). A surface that is not at its `pos`
(but for upper and lower case: the text's own form counts) or not in the text is set aside and counted. A key absent =
not annotated. Prompts and outputs that stand beside them are not read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, fields
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.placed_events import PlacedEvents
from kcx_jax.corpora.readers.placed_mentions import PlacedMentions
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.triples import Triples
from kcx_jax.corpora.record import Record


def read_knowcoder(path: Path, options: Options) -> Iterator[Record]:
    """The samples of a file; `KcxError` naming the key for what has not its form."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft(path, where, row.string("sentence", empty=True), options)
        mentions, triples, events = PlacedMentions(draft), Triples(draft), PlacedEvents(draft)
        for node in row.items("entities", lambda item: item) or ():
            surface, label = node.string("name"), node.string("type")
            place = _place(node, surface, draft)
            if place is None:
                mentions.add(surface, label, node.key)
            elif place:
                draft.mention(draft.char_span(*place, node.key), label, node.key)
        for i, node in enumerate(row.items("relations", lambda item: item) or ()):
            head, tail = _end(node, "head", draft), _end(node, "tail", draft)
            if head and tail:
                surfaces, types, places = (head[0], tail[0]), (head[1], tail[1]), (head[2], tail[2])
                triples.add(i, node.string("type"), types, surfaces, node.key, places)
        for node in row.items("events", lambda item: item) or ():
            event = _as_duee(node, draft)
            if event is not None:
                events.add(event)
        ambiguous: dict[str, Any] = {"entities": mentions.ambiguous, "events": events.ambiguous}
        if "relations" in row.value:
            ambiguous["relations"] = triples.meta()["ambiguous"]
        found = {layer: items for layer, items in ambiguous.items() if items}
        yield draft.record(
            record_id(path, index),
            entities="entities" in row.value or "relations" in row.value,
            relations="relations" in row.value,
            events="events" in row.value,
            **({"ambiguous": found} if found else {}),
        )


def _place(node: JsonObject, surface: str, draft: Draft) -> tuple[int, int] | tuple[()] | None:
    """Where `pos` says that a surface stands, None where it says nothing; what is not there is set aside: ()."""
    if node.get("pos", "") in ("", None, []):
        return None
    form = f"{node.where}: {node.key}.pos"
    start, end = fields(node.get("pos"), (int, int), form, "[start, end]")[:2]
    if 0 <= start < end and draft.text[start:end].casefold() == surface.casefold():
        return start, end
    draft.set_aside("surfaces that are not at their pos", dict(node.value))
    return ()


def _end(node: JsonObject, key: str, draft: Draft) -> tuple[str, str | None, tuple[int, int] | None] | None:
    """The surface, the type and the place of one end: a string, or an object; None where it was set aside."""
    if isinstance(node.get(key), str):
        return node.string(key), None, None
    end = JsonObject(node.get(key), node.where, f"{node.key}.{key}")
    surface, label = end.string("name"), end.string("type") if "type" in end.value else None
    place = _place(end, surface, draft)
    return None if place == () else (surface, label, place or None)


def _as_duee(node: JsonObject, draft: Draft) -> JsonObject | None:
    """The event with the keys of `PlacedEvents`; None where its trigger was set aside."""
    trigger = node.string("trigger")
    place = _place(node, trigger, draft)
    if place == ():
        return None
    event: dict[str, Any] = {"event_type": node.string("type"), "arguments": []}
    event |= _located("trigger", trigger, place, draft)
    for each in node.items("arguments", lambda item: item) or ():
        name = each.string("name")
        place = _place(each, name, draft)
        if place != ():
            located = _located("argument", name, place, draft)
            event["arguments"].append({"role": each.string("role")} | located)
    return JsonObject(event, node.where, node.key)


def _located(key: str, surface: str, place: tuple[int, ...] | None, draft: Draft) -> dict[str, Any]:
    """A surface as the text spells it, with its start, or as it was given where nobody knows its place."""
    if not place:
        return {key: surface}
    return {key: draft.text[place[0] : place[1]], f"{key}_start_index": place[0]}
