"""What was grounded in a window, moved to where the window stands in the whole text."""

from dataclasses import replace
from typing import Any, TypeVar

from kcx_jax.corpora import Argument, EventMention, Mention, Record, Span

Placed = TypeVar("Placed", Mention, Span)


def shifted(record: Record, text: str, by: int) -> Record:
    """The record of a window as one of `text`, in which the window begins at `by`; ``meta["loose"]`` moves along."""
    meta: dict[str, Any] = dict(record.meta)
    if "loose" in meta:
        meta["loose"] = [
            {**each, "start": each["start"] + by, "end": each["end"] + by} for each in meta["loose"]
        ]
    entities, events = record.entities, record.events
    return replace(
        record,
        text=text,
        entities=None if entities is None else tuple(_moved(each, by) for each in entities),
        events=None if events is None else tuple(_event(each, by) for each in events),
        meta=meta,
    )


def _moved(placed: Placed, by: int) -> Placed:
    parts = tuple((start + by, end + by) for start, end in placed.spans)
    return replace(placed, start=placed.start + by, end=placed.end + by, spans=parts)


def _event(event: EventMention, by: int) -> EventMention:
    arguments = tuple(_argument(each, by) for each in event.arguments)
    return replace(event, trigger=_moved(event.trigger, by), arguments=arguments)


def _argument(argument: Argument, by: int) -> Argument:
    if argument.entity is not None:
        return argument
    start, end = argument.span()
    parts = tuple((first + by, last + by) for first, last in argument.spans)
    return replace(argument, start=start + by, end=end + by, spans=parts)
