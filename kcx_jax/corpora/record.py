"""The record: a text with what is annotated in it, and its JSON form (the contract on disk).

Offsets are half-open and count Unicode code points. ``None`` (in JSON: no key) means not annotated, an empty
tuple means annotated and nothing there. A discontinuous span is its hull plus the parts in ``spans``.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any

from kcx_jax.corpora.json_object import JsonObject, kind_of
from kcx_jax.errors import KcxError

Parts = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text, ``text[start:end]``; ``spans`` holds the parts of a discontinuous one."""

    start: int
    end: int
    text: str
    spans: Parts = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity mention. ``type`` is a class name of the schema; ``id`` is unique in its record."""

    id: str
    type: str
    start: int
    end: int
    text: str
    spans: Parts = ()


@dataclass(frozen=True, slots=True)
class RelationLink:
    """A relation between two mentions of the record, by their ids."""

    type: str
    head: str
    tail: str


@dataclass(frozen=True, slots=True)
class Argument:
    """An event's argument: either a mention of the record (``entity``, its id) or an untyped span."""

    role: str
    entity: str | None = None
    start: int | None = None
    end: int | None = None
    text: str | None = None
    spans: Parts = ()

    def span(self) -> tuple[int, int]:
        """The hull of an untyped argument; `KcxError` for one that is an entity."""
        if self.start is None or self.end is None:
            raise KcxError(f"the argument {self.role!r} has no offsets of its own (entity {self.entity!r})")
        return self.start, self.end


@dataclass(frozen=True, slots=True)
class EventMention:
    """An event with its trigger and arguments."""

    type: str
    trigger: Span
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True)
class Record:
    """One text and its annotation. ``language`` is a BCP 47 tag ("und": undetermined)."""

    id: str
    language: str
    text: str
    entities: tuple[Mention, ...] | None = None
    relations: tuple[RelationLink, ...] | None = None
    events: tuple[EventMention, ...] | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values; keys that are not annotated are absent."""
        out: dict[str, Any] = {"id": self.id, "language": self.language, "text": self.text}
        if self.entities is not None:
            out["entities"] = [{"id": m.id, "type": m.type, **_span_json(m)} for m in self.entities]
        if self.relations is not None:
            out["relations"] = [{"type": r.type, "head": r.head, "tail": r.tail} for r in self.relations]
        if self.events is not None:
            out["events"] = [
                {
                    "type": event.type,
                    "trigger": _span_json(event.trigger),
                    "arguments": [_argument_json(a) for a in event.arguments],
                }
                for event in self.events
            ]
        if self.meta:
            out["meta"] = self.meta
        return out

    @classmethod
    def from_json(cls, value: Any, where: str = "record") -> "Record":
        """Build a record from JSON values and check everything in it.

        `where` (such as "train.jsonl:7") opens every message. Raises `KcxError` naming the key for a wrong
        type, an offset outside the text, a surface that is not the slice, an id used twice or not there.
        """
        usual = _usual_record(value)
        if usual is not None:
            return usual
        row = JsonObject(value, where)
        row.only("id", "language", "text", "entities", "relations", "events", "meta")
        meta = row.get("meta", {})
        if not isinstance(meta, dict):
            raise row.error("meta", f"must be an object, not {kind_of(meta)}")
        record = cls(
            id=row.string("id"),
            language=row.string("language") if "language" in row.value else "und",
            text=row.string("text", empty=True),
            entities=row.items("entities", _parse_mention),
            relations=row.items("relations", _parse_relation),
            events=row.items("events", _parse_event),
            meta=meta,
        )
        record.check(where)
        return record

    def check(self, where: str = "record") -> None:
        """Raise `KcxError` unless offsets, surfaces and ids agree with each other and with the text."""
        ids: set[str] = set()
        for i, mention in enumerate(self.entities or ()):
            key = f"entities[{i}]"
            if mention.id in ids:
                raise KcxError(
                    f"{where}: {key}.id: {mention.id!r} is used twice; give each entity its own id"
                )
            ids.add(mention.id)
            _check_name(mention.type, f"{where}: {key}.type")
            _check_span(mention, self.text, f"{where}: {key}")
        for i, link in enumerate(self.relations or ()):
            _check_name(link.type, f"{where}: relations[{i}].type")
            for role, ref in (("head", link.head), ("tail", link.tail)):
                _check_reference(ref, ids, f"{where}: relations[{i}].{role}")
        for i, event in enumerate(self.events or ()):
            _check_name(event.type, f"{where}: events[{i}].type")
            _check_span(event.trigger, self.text, f"{where}: events[{i}].trigger")
            for j, argument in enumerate(event.arguments):
                key = f"{where}: events[{i}].arguments[{j}]"
                _check_name(argument.role, f"{key}.role")
                if argument.entity is not None:
                    _check_reference(argument.entity, ids, f"{key}.entity")
                else:
                    _check_span(argument, self.text, key)


@dataclass(frozen=True)
class ParallelRecord:
    """The same content in two languages; equal entity ids on both sides mean the same thing."""

    id: str
    source: Record
    target: Record
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The pair as plain JSON values."""
        return {
            "id": self.id,
            "source": self.source.to_json(),
            "target": self.target.to_json(),
            "provenance": self.provenance,
        }

    @classmethod
    def from_json(cls, value: Any, where: str = "record") -> "ParallelRecord":
        """Build a pair from JSON values, checking both sides as `Record.from_json` does (`KcxError`)."""
        row = JsonObject(value, where)
        row.only("id", "source", "target", "provenance")
        provenance = row.get("provenance", {})
        if not isinstance(provenance, dict):
            raise row.error("provenance", f"must be an object, not {kind_of(provenance)}")
        return cls(
            id=row.string("id"),
            source=Record.from_json(row.get("source"), f"{where}: source"),
            target=Record.from_json(row.get("target"), f"{where}: target"),
            provenance=provenance,
        )


def make_span(text: str, start: int, end: int) -> Span:
    """The continuous span of `text` from `start` to `end`, with its surface."""
    return Span(start, end, text[start:end])


def text_order(item: Span | Mention) -> tuple[int, int]:
    """Sort key of everything that is listed in the order of the text: by start, the shorter first."""
    return item.start, item.end


_USUAL_KEYS = frozenset({"id", "language", "text", "entities", "meta"})
_mention_fields = itemgetter("id", "type", "start", "end", "text")


def _usual_record(value: Any) -> Record | None:
    """A sound record of whole entity mentions, or None where more must be looked at (and may be wrong).

    Most lines of most files are such; their checks in one place take a third of the time.
    """
    if type(value) is not dict or not value.keys() <= _USUAL_KEYS:
        return None
    id: Any = value.get("id")
    language: Any = value.get("language", "und")
    text: Any = value.get("text")
    rows: Any = value.get("entities")
    meta: Any = value.get("meta", {})
    strings = type(id) is str and type(language) is str and type(text) is str
    if not (strings and id and language and type(meta) is dict and type(rows) is list):
        return None
    mentions, length = {}, len(text)
    for row in rows:
        if type(row) is not dict or len(row) != 5:
            return None
        try:
            mark, name, start, end, surface = _mention_fields(row)
        except KeyError:
            return None
        if not (type(mark) is type(name) is str and type(start) is type(end) is int):
            return None
        named = mark and name.isascii() and name.isidentifier()
        if not (named and 0 <= start < end <= length and text[start:end] == surface):
            return None
        mentions[mark] = Mention(mark, name, start, end, surface)
    if len(mentions) < len(rows):
        return None
    return Record(id, language, text, tuple(mentions.values()), None, None, meta)


def _span_json(span: Span | Mention | Argument) -> dict[str, Any]:
    out: dict[str, Any] = {"start": span.start, "end": span.end, "text": span.text}
    if span.spans:
        out["spans"] = [list(part) for part in span.spans]
    return out


def _argument_json(argument: Argument) -> dict[str, Any]:
    if argument.entity is not None:
        return {"role": argument.role, "entity": argument.entity}
    return {"role": argument.role, **_span_json(argument)}


def _parse_mention(node: JsonObject) -> Mention:
    node.only("id", "type", "start", "end", "text", "spans")
    return Mention(
        node.string("id"),
        node.string("type"),
        node.integer("start"),
        node.integer("end"),
        node.string("text"),
        node.parts(),
    )


def _parse_relation(node: JsonObject) -> RelationLink:
    node.only("type", "head", "tail")
    return RelationLink(node.string("type"), node.string("head"), node.string("tail"))


def _parse_event(node: JsonObject) -> EventMention:
    node.only("type", "trigger", "arguments")
    trigger = JsonObject(node.get("trigger"), node.where, f"{node.key}.trigger")
    trigger.only("start", "end", "text", "spans")
    span = Span(trigger.integer("start"), trigger.integer("end"), trigger.string("text"), trigger.parts())
    return EventMention(node.string("type"), span, node.items("arguments", _parse_argument) or ())


def _parse_argument(node: JsonObject) -> Argument:
    node.only("role", "entity", "start", "end", "text", "spans")
    role = node.string("role")
    if "entity" in node.value:
        if len(node.value) > 2:
            raise node.error(
                "entity", "stands beside offsets; an argument is an entity id or a span, not both"
            )
        return Argument(role, entity=node.string("entity"))
    return Argument(
        role,
        start=node.integer("start"),
        end=node.integer("end"),
        text=node.string("text"),
        spans=node.parts(),
    )


def _check_name(name: str, key: str) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise KcxError(
            f"{key}: {name!r} is no class or role name (an ASCII identifier); keep native labels in meta"
        )


def _check_reference(ref: str, ids: Collection[str], key: str) -> None:
    if ref not in ids:
        raise KcxError(f"{key}: no entity has the id {ref!r}")


def _check_span(span: Span | Mention | Argument, text: str, key: str) -> None:
    start, end = span.start, span.end
    if start is None or end is None:
        raise KcxError(f"{key}: has neither an entity nor offsets")
    if not 0 <= start < end <= len(text):
        raise KcxError(f"{key}: [{start}, {end}) is no span of a text of {len(text)} characters")
    if text[start:end] != span.text:
        found = _quote(text[start:end])
        raise KcxError(
            f"{key}.text: is {_quote(span.text)} but [{start}, {end}) of the text is {found}; "
            "offsets count Unicode code points and exclude the end"
        )
    if not span.spans:
        return
    flat = [position for part in span.spans for position in part]
    ordered = all(a < b for a, b in span.spans) and all(a <= b for a, b in pairwise(flat))
    if not ordered or flat[0] != start or flat[-1] != end:
        raise KcxError(
            f"{key}.spans: must be sorted, not overlap, and reach from {start} to {end}, got {span.spans}"
        )


def _quote(text: str | None, limit: int = 60) -> str:
    return repr(text if text is None or len(text) <= limit else text[:limit] + "...")
