"""What extraction gives back for one text: the record, and the same thing as plain values for a program."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kcx_jax.corpora import EventMention, Record
from kcx_jax.schema import Entity, Event, Relation, Schema, Task, role_to_identifier

Key = tuple
"""What a score belongs to, by offsets; see `entity_key`, `relation_key` and `event_key`."""


@dataclass(frozen=True)
class FoundEntity:
    """A mention with half-open offsets in code points; `label` is the user's own word or the class name.

    `score` is the probability that the model writes the item where it did, among what it may write; None for chat
    endpoints, for answers that are not spelled as ours are, and for entities that only another item mentions.
    """

    label: str
    text: str
    start: int
    end: int
    score: float | None = None


@dataclass(frozen=True)
class FoundRelation:
    """A relation between two mentions; `score` as in `FoundEntity`."""

    label: str
    head: FoundEntity
    tail: FoundEntity
    score: float | None = None


@dataclass(frozen=True)
class FoundArgument:
    """An argument of an event; `label` is None for a plain span."""

    role: str
    text: str
    start: int
    end: int
    label: str | None = None


@dataclass(frozen=True)
class FoundEvent:
    """An event: its trigger with offsets, and its arguments; `score` as in `FoundEntity`."""

    label: str
    text: str
    start: int
    end: int
    arguments: tuple[FoundArgument, ...] = ()
    score: float | None = None


@dataclass(frozen=True)
class AnswerProblem:
    """Something of an answer that is not in the result, or may be missing from it.

    `kind`: "unresolved" (not in the text, or not so often), "length" (the answer was cut off), "no_answer" (refused or
    failed), or a kind of `kcx_jax.schema.Problem` (could not be read). `window`: the part of a long text whose answer
    it was; None where the text was read at once.
    """

    task: Task
    kind: str
    detail: str
    window: tuple[int, int] | None = None


@dataclass(frozen=True)
class Repair:
    """Something that stands in the text in another form than in the answer, and was found by a rung of the ladder.

    `text` is the text's own form; `label` that of the item it belongs to; `rung` one of `kcx_jax.scoring.RUNGS`.
    """

    task: Task
    label: str
    text: str
    start: int
    end: int
    rung: str


@dataclass(frozen=True)
class Result:
    """What was found in one text.

    `record` has the merged annotation in the format of this project. `problems` lists whatever could not be
    used of the answers; `answers` is the code as the model wrote it, by task: of a long text or a large schema, the
    answers to all windows and parts, one below the other.
    """

    record: Record
    schema: Schema
    problems: tuple[AnswerProblem, ...] = ()
    answers: dict[Task, str] = field(default_factory=dict)
    scores: dict[Key, float] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The text that was read."""
        return self.record.text

    @cached_property
    def _entity_of_id(self) -> dict[str, FoundEntity]:
        return {
            m.id: FoundEntity(self._label(m.type), m.text, m.start, m.end, self.scores.get(entity_key(m)))
            for m in self.record.entities or ()
        }

    @property
    def entities(self) -> tuple[FoundEntity, ...]:
        """The mentions, in the order of the text."""
        return tuple(self._entity_of_id.values())

    @cached_property
    def relations(self) -> tuple[FoundRelation, ...]:
        """The relations, by the order of their heads and tails in the text."""
        found, by_id = self._entity_of_id, {m.id: m for m in self.record.entities or ()}
        return tuple(
            FoundRelation(
                self._label(link.type),
                found[link.head],
                found[link.tail],
                self.scores.get(relation_key(link.type, by_id[link.head], by_id[link.tail])),
            )
            for link in self.record.relations or ()
        )

    @cached_property
    def events(self) -> tuple[FoundEvent, ...]:
        """The events, by the order of their triggers in the text."""
        return tuple(
            FoundEvent(
                self._label(event.type),
                event.trigger.text,
                event.trigger.start,
                event.trigger.end,
                tuple(self._argument(argument) for argument in event.arguments),
                self.scores.get(event_key(event)),
            )
            for event in self.record.events or ()
        )

    def _argument(self, argument: Any) -> FoundArgument:
        if argument.entity is None:
            return FoundArgument(argument.role, argument.text, argument.start, argument.end)
        entity = self._entity_of_id[argument.entity]
        return FoundArgument(argument.role, entity.text, entity.start, entity.end, entity.label)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What only looser forms found, where the ladder was asked for."""
        return tuple(
            Repair(
                each["task"],
                self._label(each["type"]),
                self.text[each["start"] : each["end"]],
                each["start"],
                each["end"],
                each["rung"],
            )
            for each in self.record.meta.get("loose", ())
        )

    @cached_property
    def instances(self) -> tuple[Entity | Relation | Event, ...]:
        """Everything found as instances of the schema's classes (the caller's own, if those were given).

        Entities, then relations, then events; mentions and triggers carry their offsets.
        """
        classes = {**self.schema.classes, Entity.__name__: Entity}
        entities = {m.id: classes[m.type](m.text, m.start, m.end) for m in self.record.entities or ()}
        relations = [
            classes[link.type](entities[link.head], entities[link.tail])
            for link in self.record.relations or ()
        ]
        return (
            *entities.values(),
            *relations,
            *(_event_instance(event, classes, entities) for event in self.record.events or ()),
        )

    def _label(self, name: str) -> str:
        concept = self.schema.by_name.get(name)
        return (concept.label if concept else None) or name


def entity_key(mention: Any) -> Key:
    """A mention by offsets and type."""
    return mention.start, mention.end, mention.type


def relation_key(name: str, head: Any, tail: Any) -> Key:
    """A relation by its type and its mentions."""
    return name, entity_key(head), entity_key(tail)


def event_key(event: EventMention) -> Key:
    """An event by its type and trigger."""
    return "event", event.type, event.trigger.start, event.trigger.end


def _event_instance(event: EventMention, classes: dict[str, type], entities: dict[str, Entity]) -> Event:
    arguments: dict[str, list[Entity | str]] = {}
    for argument in event.arguments:
        value = entities[argument.entity] if argument.entity is not None else argument.text
        assert value is not None
        arguments.setdefault(role_to_identifier(argument.role), []).append(value)
    trigger = event.trigger
    return classes[event.type](
        trigger.text, trigger_start=trigger.start, trigger_end=trigger.end, **arguments
    )
