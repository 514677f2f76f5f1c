"""Record + schema + task -> the instances an answer lists: one a mention, in the order of the text."""

from collections.abc import Iterator
from typing import Any

from kcx_jax.corpora import EventMention, Mention, Record, text_order
from kcx_jax.errors import KcxError
from kcx_jax.schema import Entity, Event, Relation, Schema, Task, role_to_identifier


def answer_instances(record: Record, schema: Schema, task: Task) -> list[Entity | Relation | Event]:
    """What the answer to `task` lists for a record, restricted to the classes of `schema`.

    NER: every mention. RE: every relation, by the place of its head, then of its tail. ED: every event without
    its arguments. EAE: every event with the arguments whose roles the schema knows, roles in schema order and
    the arguments of a role in the order of the text: an instance where the argument is a mention of a class of
    the schema, a plain string otherwise. A discontinuous span stands as its hull, from its first character to
    its last.

    Raises `KcxError` when the record is not annotated for the task, or when a relation of the schema links a
    mention whose class the schema lacks; `UsageError` for an unknown task.
    """
    return _Lister(record, schema.for_task(task)).instances(task)


class _Lister:
    def __init__(self, record: Record, schema: Schema):
        self.record = record
        self.schema = schema
        self.mentions = {mention.id: mention for mention in record.entities or ()}

    def instances(self, task: Task) -> list[Any]:
        match task:
            case "ner":
                return list(self._entities())
            case "re":
                return list(self._relations())
            case "ed":
                return [cls(event.trigger.text) for cls, event in self._events()]
            case "eae":
                return [cls(event.trigger.text, **self._arguments(event)) for cls, event in self._events()]

    def _annotated(self, layer: str) -> tuple:
        value = getattr(self.record, layer)
        if value is None:
            raise KcxError(
                f"record {self.record.id!r} is not annotated with {layer}, so it has no answer for them"
            )
        return value

    def _entity(self, mention: Mention) -> Entity:
        return self.schema.classes[mention.type](mention.text)

    def _entities(self) -> Iterator[Entity]:
        for mention in sorted(self._annotated("entities"), key=text_order):
            if mention.type in self.schema.classes:
                yield self._entity(mention)

    def _relations(self) -> Iterator[Relation]:
        placed = [
            (self.mentions[link.head], self.mentions[link.tail], self.schema.classes[link.type])
            for link in self._annotated("relations")
            if link.type in self.schema.classes
        ]
        for head, tail, cls in sorted(placed, key=lambda link: (text_order(link[0]), text_order(link[1]))):
            for mention in (head, tail):
                if mention.type not in self.schema.classes:
                    raise KcxError(
                        f"record {self.record.id!r}: {cls.__name__} links {mention.text!r}, but the schema has no "
                        f"class {mention.type}. Add it to the schema, or leave {cls.__name__} out"
                    )
            yield cls(self._entity(head), self._entity(tail))

    def _events(self) -> Iterator[tuple[type, EventMention]]:
        for event in sorted(self._annotated("events"), key=lambda event: text_order(event.trigger)):
            if event.type in self.schema.classes:
                yield self.schema.classes[event.type], event

    def _arguments(self, event: EventMention) -> dict[str, list[Entity | str]]:
        arguments: dict[str, list[Entity | str]] = {}
        for role in self.schema.roles_of(event.type):
            filled = [argument for argument in event.arguments if argument.role == role.name]
            spans = [self.mentions[each.entity] if each.entity is not None else each for each in filled]
            arguments[role_to_identifier(role.name)] = [
                self._entity(span)
                if isinstance(span, Mention) and span.type in self.schema.classes
                else span.text
                for span in sorted(spans, key=text_order)
            ]
        return arguments
