"""Record + schema + task -> the instances an answer lists: one a mention, in the order of the text."""

from collections.abc import Iterator
from typing import Any

from kcx_jax.corpora import Argument, EventMention, Mention, Record, Span, text_order
from kcx_jax.errors import KcxError
from kcx_jax.schema import Entity, Event, Relation, Schema, Task, role_to_identifier


def answer_instances(record: Record, schema: Schema, task: Task) -> list[Entity | Relation | Event]:
    """What the answer to `task` lists for a record, restricted to the classes of `schema`.

    NER: every mention. RE: every relation, by the place of its head, then of its tail. ED: every event
    without its arguments, those of one type on one trigger once. EAE: every event with the arguments whose
    roles the schema knows, roles in schema order and the arguments of a role in the order of the text: an
    instance where the argument is a mention of a class of the schema, a plain string otherwise. A discontinuous
    span stands as its hull, from its first character to its last.

    Raises `KcxError` when the record is not annotated for the task, or when a relation of the schema links a
    mention whose class the schema lacks (a mention that its corpus gives no type stands under `Entity`);
    `UsageError` for an unknown task.
    """
    lister = _Lister(record, schema.for_task(task))
    match task:
        case "ner":
            return list(lister.entities())
        case "re":
            return list(lister.relations())
        case "ed":
            return list(lister.triggers())
        case "eae":
            return list(lister.events())


def entity_instance(mention: Mention, schema: Schema, record_id: str, linking: str) -> Entity:
    """The instance a mention stands as where `linking` holds it, under `Entity` itself where its corpus gives
    no type. Raises `KcxError` when the schema lacks the mention's class.
    """
    if mention.type == Entity.__name__:
        return Entity(mention.text)
    if mention.type not in schema.by_name:
        raise KcxError(
            f"record {record_id!r}: {linking} links {mention.text!r}, but the schema has no "
            f"class {mention.type}. Add it to the schema, or leave {linking} out"
        )
    return schema.classes[mention.type](mention.text)


def _mention_order(mention: Mention) -> tuple:
    return text_order(mention), mention.type


def _link_order(link: tuple[Mention, Mention, str]) -> tuple:
    head, tail, name = link
    return _mention_order(head), _mention_order(tail), name


class _Lister:
    def __init__(self, record: Record, schema: Schema):
        self.record = record
        self.schema = schema
        self.classes = schema.classes
        self.mentions = {mention.id: mention for mention in record.entities or ()}

    def entities(self) -> Iterator[Entity]:
        for mention in sorted(self._layer("entities"), key=_mention_order):
            if mention.type in self.classes:
                yield self._entity(mention)

    def relations(self) -> Iterator[Relation]:
        placed = [
            (self.mentions[link.head], self.mentions[link.tail], link.type)
            for link in self._layer("relations")
            if link.type in self.classes
        ]
        for head, tail, name in sorted(placed, key=_link_order):
            ends = (entity_instance(each, self.schema, self.record.id, name) for each in (head, tail))
            yield self.classes[name](*ends)

    def triggers(self) -> Iterator[Event]:
        for name, trigger in dict.fromkeys((event.type, event.trigger) for event in self._events()):
            yield self.classes[name](trigger.text)

    def events(self) -> Iterator[Event]:
        for event in self._events():
            yield self.classes[event.type](event.trigger.text, **self._arguments(event))

    def _events(self) -> Iterator[EventMention]:
        for event in sorted(self._layer("events"), key=lambda event: (text_order(event.trigger), event.type)):
            if event.type in self.classes:
                yield event

    def _layer(self, name: str) -> tuple[Any, ...]:
        layer = getattr(self.record, name)
        if layer is None:
            raise KcxError(
                f"record {self.record.id!r} is not annotated with {name}, so they cannot be its answer"
            )
        return layer

    def _entity(self, mention: Mention) -> Entity:
        return self.classes[mention.type](mention.text)

    def _arguments(self, event: EventMention) -> dict[str, list[Entity | str]]:
        arguments: dict[str, list[Entity | str]] = {}
        for role in self.schema.roles_of(event.type):
            spans = [self._span(argument) for argument in event.arguments if argument.role == role.name]
            arguments[role_to_identifier(role.name)] = [
                self._entity(span) if isinstance(span, Mention) and span.type in self.classes else span.text
                for span in sorted(spans, key=text_order)
            ]
        return arguments

    def _span(self, argument: Argument) -> Mention | Span:
        if argument.entity is not None:
            return self.mentions[argument.entity]
        assert argument.start is not None
        assert argument.end is not None
        assert argument.text is not None
        return Span(argument.start, argument.end, argument.text)
