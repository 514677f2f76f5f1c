"""`fewfc`: JSON lines `{"id", "content", "events": [{"type", "mentions": [{"word", "span", "role"}]}]}`.

Spans are half-open; the mention whose role is `trigger` is the event's trigger, the others are its arguments.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.events import LabelledEvent, event_meta, surface_span
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record, Span

# The labels are Chinese words, which no class can be called: without an inventory these are their classes.
CLASSES = {
    "股份股权转让": "ShareTransfer",
    "投资": "Investment",
    "质押": "Pledge",
    "减持": "ShareReduction",
    "起诉": "Lawsuit",
}


def read_fewfc(path: Path, options: Options) -> Iterator[Record]:
    """The lines of a FewFC file; `KcxError` naming the key for a mention that is not where it says."""

    def class_of(label: str, where: str) -> str:
        return options.labels(label if options.labels.inventory else CLASSES.get(label, label), where)

    for where, value in read_json_items(path):
        row = JsonObject(value, where)
        row.only("id", "content", "events")
        text = row.string("content", empty=True)
        events = row.items("events", partial(_event, text=text))
        if events is None:
            raise row.error("events", "is missing (an empty list where there are none)")
        yield Record(
            row.string("id"),
            options.tag,
            text,
            events=tuple(event.mention(class_of, options) for event in events),
            meta=event_meta(path.name, events, Counter()),
        )


def _event(node: JsonObject, text: str) -> LabelledEvent:
    node.only("type", "mentions")
    mentions = node.items("mentions", partial(_mention, text=text)) or ()
    triggers = [span for role, span in mentions if role == "trigger"]
    if len(triggers) != 1:
        raise node.error("mentions", f"{len(triggers)} mentions have the role 'trigger', not one")
    arguments = tuple((role, span) for role, span in mentions if role != "trigger")
    return LabelledEvent(f"{node.where}: {node.key}", node.string("type"), triggers[0], arguments)


def _mention(node: JsonObject, text: str) -> tuple[str, Span]:
    node.only("word", "span", "role")
    place = node.get("span")
    if not (isinstance(place, list) and len(place) == 2 and all(type(x) is int for x in place)):
        raise node.error("span", "must be [start, end]")
    where = f"{node.where}: {node.key}.span"
    return node.string("role"), surface_span(text, ((place[0], place[1]),), node.string("word"), where)
