"""`iepile`: IEPile and OneKE, in their instruction form, their test form and their plain form.

    {"instruction": "{\"instruction\", \"schema\", \"input\"}", "output": "{type: [...]}"}     JSON in strings
    {"instruction": "...", "label": "[{\"entity\", \"entity_type\"}]"}                          the same without groups
    {"text", "entity": [{"entity", "entity_type"}] | "relation": [{"head", "relation", "tail"}] | "event": [...]}

Tasks: NER, RE, SPO (typed ends), EE, EET (triggers alone), EEA (one event a type is known), KG (attributes of
entities, as relations). Surfaces come without offsets and are lined up with the text: equal entities in its order, the
ends of a relation and the arguments of an event nearest to each other (see `surfaces`); `meta.ambiguous` says where
that was a choice, what is not in the text is set aside and counted. `meta.schema` keeps the types that were asked for:
an instruction asks for a few of them only, and says nothing about the others. A sample without a label is not
annotated, nor is one whose empty label could belong to any task (`task` is not given, and the schema lists names
alone).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, kind_of
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.placed_events import PlacedEvents
from kcx_jax.corpora.readers.placed_mentions import PlacedMentions
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.triples import Triples
from kcx_jax.corpora.record import Record

ABSENT = ("NAN", "", None)  # how an argument that is not there is written
_LAYERS = ("entity", "relation", "event")
_LAYER_OF_TASK = {
    "NER": "entity",
    "RE": "relation",
    "SPO": "relation",
    "KG": "relation",
    "EE": "event",
    "EET": "event",
    "EEA": "event",
}


def read_iepile(path: Path, options: Options) -> Iterator[Record]:
    """The samples of a file; `KcxError` naming the key for what has not its form."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        yield read_sample(row, path, record_id(path, index), options)


def read_sample(row: JsonObject, path: Path, identifier: str, options: Options) -> Record:
    """The record of one sample; `KcxError` naming the key for what has not its form."""
    plain = "text" in row.value
    asked = row if plain else JsonObject(_inner(row, "instruction"), row.where, "instruction")
    sample = _Sample(Draft(path, row.where, asked.string("text" if plain else "input", empty=True), options))
    layer = _LAYER_OF_TASK.get(str(row.get("task"))) or _layer_asked(asked.get("schema"))
    for key in _LAYERS if plain else ("label", "output"):
        if key in row.value:
            sample.read(row.get(key) if plain else _inner(row, key), key, key if plain else layer)
    meta: dict[str, Any] = {} if plain else {"schema": asked.get("schema")}
    if isinstance(row.get("id"), str):
        meta["source_id"] = row.get("id")
    if isinstance(row.get("task"), str):
        meta["task"] = row.get("task")
    return sample.record(identifier, meta)


def _inner(row: JsonObject, key: str) -> Any:
    """The JSON value that stands under `key` as a string."""
    try:
        return json.loads(row.string(key))
    except (ValueError, RecursionError) as error:
        raise row.error(key, f"is no JSON in a string: {error}") from error


class _Sample:
    """One text and whatever its label says."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.mentions, self.triples, self.events = PlacedMentions(draft), Triples(draft), PlacedEvents(draft)
        self.layers: set[str] = set()
        self.items = 0

    def read(self, value: Any, key: str, layer: str | None) -> None:
        """A label: a list of items, or an object by type. `layer` is what it speaks of, where that is known."""
        self.layers |= {layer} if layer else set()
        if isinstance(value, dict):
            for label, found in value.items():
                self._by_type(label, found, f"{key}.{label}", layer)
            return
        for i, item in enumerate(array(value, f"{self.draft.where}: {key}")):
            self._item(JsonObject(item, self.draft.where, f"{key}[{i}]"))

    def _item(self, node: JsonObject) -> None:
        if "entity" in node.value:
            self.layers.add("entity")
            label = node.string("entity_type" if "entity_type" in node.value else "type")
            self.mentions.add(node.string("entity"), label, node.key)
        elif "relation" in node.value:
            self.layers.add("relation")
            types = (_optional(node, "head_type"), _optional(node, "tail_type"))
            self._triple(node.string("relation"), types, (node.string("head"), node.string("tail")), node.key)
        else:
            self.layers.add("event")
            event = {"event_type": node.string("event_type"), "trigger": node.get("event_trigger")}
            self._event(JsonObject(event | {"arguments": node.get("arguments", [])}, node.where, node.key))

    def _by_type(self, label: str, found: Any, key: str, layer: str | None) -> None:
        """What an output lists under one type."""
        if isinstance(found, dict):  # KG: {head: {attribute: value or values}}
            self.layers.add("relation")
            for head, attributes in found.items():
                node = JsonObject(attributes, self.draft.where, f"{key}.{head}")
                if not node.value:
                    self.mentions.add(head, label, node.key)
                for attribute in node.value:
                    for tail in _values(node, attribute):
                        self._triple(attribute, (label, None), (head, tail), node.key)
            return
        for i, item in enumerate(array(found, f"{self.draft.where}: {key}")):
            path = f"{key}[{i}]"
            if isinstance(item, str) and layer == "event":
                self._event(JsonObject({"event_type": label, "trigger": item}, self.draft.where, path))
            elif isinstance(item, str):
                self.layers.add("entity")
                self.mentions.add(item, label, path)
            else:
                self._object(label, JsonObject(item, self.draft.where, path))

    def _object(self, label: str, node: JsonObject) -> None:
        for head, tail in (("subject", "object"), ("head", "tail")):
            if head in node.value:
                self.layers.add("relation")
                self._triple(label, (None, None), (node.string(head), node.string(tail)), node.key)
                return
        whole = "trigger" in node.value or "arguments" in node.value
        roles = JsonObject(node.get("arguments", {}) if whole else node.value, node.where, node.key)
        arguments = [
            {"role": role, "argument": value} for role in roles.value for value in _values(roles, role)
        ]
        event = {"event_type": label, "trigger": node.get("trigger"), "arguments": arguments}
        self._event(JsonObject(event, node.where, node.key))

    def _triple(
        self, label: str, types: tuple[str | None, str | None], surfaces: tuple[str, str], key: str
    ) -> None:
        self.triples.add(self.items, label, types, surfaces, key)
        self.items += 1

    def _event(self, node: JsonObject) -> None:
        self.layers.add("event")
        if node.get("trigger") in ABSENT:  # a record's event has a trigger
            self.draft.set_aside("events without a trigger", dict(node.value))
        else:
            self.events.add(node)

    def record(self, identifier: str, meta: dict[str, Any]) -> Record:
        """The record with the layers that the label speaks of."""
        meta = dict(meta)
        ambiguous: dict[str, Any] = {"entities": self.mentions.ambiguous, "events": self.events.ambiguous}
        if "relation" in self.layers:
            ambiguous["relations"] = self.triples.meta()["ambiguous"]
        if found := {layer: items for layer, items in ambiguous.items() if items}:
            meta["ambiguous"] = found
        return self.draft.record(
            identifier,
            entities=bool(self.layers & {"entity", "relation"}),
            relations="relation" in self.layers,
            events="event" in self.layers,
            **meta,
        )


def _layer_asked(schema: Any) -> str | None:
    """What an instruction's schema asks for; None where it lists names alone, which any task's does."""
    first = schema[0] if isinstance(schema, list) and schema else None
    keys = first if isinstance(first, dict) else {}
    signs = {"event_type": "event", "predicate": "relation", "attributes": "relation"}
    return next((layer for key, layer in signs.items() if key in keys), None)


def _optional(node: JsonObject, key: str) -> str | None:
    return node.string(key) if key in node.value else None


def _values(node: JsonObject, key: str) -> list[str]:
    """The one value or the several ones of a role; none where it is absent."""
    value = node.get(key)
    listed = value if isinstance(value, list) else [value]
    for each in listed:
        if each not in ABSENT and not isinstance(each, str):
            raise node.error(key, f"must be a string or a list of them, not {kind_of(each)}")
    return [each for each in listed if each not in ABSENT]
