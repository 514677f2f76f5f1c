"""Formats that name things without saying where they stand: what a reader would find elsewhere is counted."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.iepile import read_sample
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Argument, Record
from kcx_jax.corpora.writers.fitting import Loss

LAYERS = ("entities", "relations", "events")


def note_places(record: Record, row: Mapping[str, Any], loss: Loss, layers: Collection[str] = LAYERS) -> None:
    """Read the row of `record` as a reader of `iepile` will, and count what does not come back in these layers."""
    found = read_sample(JsonObject(row, f"record {record.id!r}"), Path(), record.id, Options())
    for layer in layers:
        loss.add(
            record,
            f"{layer} that are not annotated",
            (getattr(record, layer) is None) != (getattr(found, layer) is None),
        )
        written, read = Counter(_units(record, layer)), Counter(_units(found, layer))
        count = max((written - read).total(), (read - written).total())
        loss.add(record, f"places of {layer} that names alone do not tell", count)


def _units(record: Record, layer: str) -> Iterator[tuple[Any, ...]]:
    """Each item of a layer by its type and the places of what it is made of."""
    mentions = {mention.id: mention for mention in record.entities or ()}
    places = {mention.id: (mention.start, mention.end) for mention in mentions.values()}

    def place(argument: Argument) -> tuple[int, int]:
        return argument.span() if argument.entity is None else places[argument.entity]

    if layer == "entities":
        yield from ((mention.type, *places[mention.id]) for mention in mentions.values())
    elif layer == "relations":
        for link in record.relations or ():
            yield link.type, places[link.head], places[link.tail]
    else:
        for event in record.events or ():
            arguments = sorted((argument.role, place(argument)) for argument in event.arguments)
            yield event.type, event.trigger.start, event.trigger.end, tuple(arguments)
