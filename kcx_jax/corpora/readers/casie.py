"""`casie`: CASIE, one document a file: `{"content": text, "cyberevent": {"hopper": [{"events": [event, ...]}]}}`.

An event is `{"type", "subtype", "nugget", "argument": [...]}`, its class `type.subtype`; nugget and arguments are
`{"startOffset", "endOffset", "text"}`, ends excluded, an argument also `{"role": {"type"}, "type"}`. The types of the
arguments stay in `meta.argument_types`, the hopper (what happened) of each event in `meta.hoppers`. A span whose `text`
does not stand there is set aside, counted and kept in `meta.unplaced`: an argument alone, an event with its nugget.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.events import LabelledEvent
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record, Span


def read_casie(path: Path, options: Options) -> Iterator[Record]:
    """The documents of a CASIE file; `KcxError` naming the key for what has not its form."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft(path, where, row.string("content", empty=True), options)
        cyber = JsonObject(row.get("cyberevent"), where, "cyberevent")
        hoppers: list[int] = []
        types: list[list[Any]] = []
        for number, hopper in enumerate(cyber.items("hopper", lambda node: node) or ()):
            for node in hopper.items("events", lambda node: node) or ():
                _event(draft, node, types)
                hoppers += [number] * (len(draft.events) - len(hoppers))
        yield draft.record(
            record_id(path, index),
            entities=False,
            relations=False,
            events=True,
            hoppers=hoppers,
            argument_types=types,
        )


def _event(draft: Draft, node: JsonObject, types: list[list[Any]]) -> None:
    """Add an event whose nugget stands where it says."""
    trigger = _span(draft, JsonObject(node.get("nugget"), node.where, f"{node.key}.nugget"))
    if trigger is None:
        draft.set_aside("events whose nugget is not at its place", dict(node.value))
        return
    filled: list[tuple[str, Span | str]] = []
    kinds: list[Any] = []
    for argument in node.items("argument", lambda argument: argument) or ():
        span = _span(draft, argument)
        if span is None:
            draft.set_aside("arguments that are not at their place", dict(argument.value))
            continue
        role = JsonObject(argument.get("role"), node.where, f"{argument.key}.role").string("type")
        filled.append((role, span))
        kinds.append(argument.get("type"))
    label = ".".join(node.string(key) for key in ("type", "subtype") if key in node.value)
    draft.events.append(LabelledEvent(f"{node.where}: {node.key}", label, trigger, tuple(filled)))
    types.append(kinds)


def _span(draft: Draft, node: JsonObject) -> Span | None:
    """The span of a node; None where its text does not stand there."""
    start, end, surface = node.integer("startOffset"), node.integer("endOffset"), node.string("text")
    if not 0 <= start < end <= len(draft.text) or draft.text[start:end] != surface:
        return None
    return Span(start, end, surface)
