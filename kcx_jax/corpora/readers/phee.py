"""`phee`: JSON lines `{"id", "context", "annotations": [{"events": [...]}]}`, pharmacovigilance events.

A value is `{"text": [[part, ...], ...], "start": [[start, ...], ...]}`: one inner list a mention, several parts
where it is discontinuous. An argument holds its sub-arguments beside those keys: their role is `Main.Sub`.
Cues (negation, speculation, severity) and `Combination` sub-events are set aside and counted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.events import LabelledEvent, event_meta, surface_span
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record, Span

CUES = ("Negated", "Speculated", "Severity")
COMBINATION = "Combination"
_VALUE_KEYS = ("text", "start", "entity_id")


def read_phee(path: Path, options: Options) -> Iterator[Record]:
    """The lines of a PHEE file; `KcxError` naming the key for a part that is not where it says."""
    for where, value in read_json_items(path):
        row = JsonObject(value, where)
        row.only("id", "context", "is_mult_event", "annotations")
        reader = _Sentence(row.string("context", empty=True))
        layers = row.items("annotations", reader.events)
        if layers is None:
            raise row.error("annotations", "is missing (an empty list where there are none)")
        events = [event for layer in layers for event in layer]
        yield Record(
            row.string("id"),
            options.tag,
            reader.text,
            events=tuple(event.mention(options.labels, options) for event in events),
            meta=event_meta(path.name, events, reader.aside),
        )


class _Sentence:
    """One line's text, and the count of what was set aside in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.aside: Counter[str] = Counter()

    def events(self, node: JsonObject) -> tuple[LabelledEvent, ...]:
        node.only("events")
        return node.items("events", self._event) or ()

    def _event(self, node: JsonObject) -> LabelledEvent:
        triggers = self._mentions(_child(node, "Trigger"))
        if len(triggers) != 1:
            raise node.error("Trigger", f"{len(triggers)} triggers, not one")
        arguments: list[tuple[str, Span | str]] = []
        for role in node.value:
            if role in CUES:
                self.aside[role] += 1
            elif role not in ("event_id", "event_type", "Trigger"):
                arguments += self._argument(_child(node, role), role)
        where = f"{node.where}: {node.key}"
        return LabelledEvent(where, node.string("event_type"), triggers[0], tuple(arguments))

    def _argument(self, node: JsonObject, role: str) -> Iterator[tuple[str, Span]]:
        """The mentions of an argument under its role, and those of its sub-arguments."""
        for span in self._mentions(node):
            yield role, span
        for key in node.value:
            if key == COMBINATION:
                self.aside[key] += len(node.items(key, lambda event: event))
            elif key not in _VALUE_KEYS:
                sub = _child(node, key)
                sub.only(*_VALUE_KEYS)
                for span in self._mentions(sub):
                    yield f"{role}.{key}", span

    def _mentions(self, node: JsonObject) -> list[Span]:
        texts, starts = (_lists(node, "text", str), _lists(node, "start", int))
        if [len(parts) for parts in texts] != [len(parts) for parts in starts]:
            raise node.error("start", "must have one offset for each part of `text`")
        where = f"{node.where}: {node.key}"
        return [
            surface_span(
                self.text,
                tuple((at, at + len(part)) for part, at in zip(words, places, strict=True)),
                " ".join(words),
                where,
            )
            for words, places in zip(texts, starts, strict=True)
        ]


def _child(node: JsonObject, key: str) -> JsonObject:
    return JsonObject(node.get(key), node.where, f"{node.key}.{key}")


def _lists(node: JsonObject, key: str, kind: type) -> list[list]:
    value = node.get(key)
    if not isinstance(value, list) or not all(
        isinstance(parts, list) and all(type(part) is kind for part in parts) for parts in value
    ):
        raise node.error(key, f"must be a list of lists of {'offsets' if kind is int else 'strings'}")
    return value
