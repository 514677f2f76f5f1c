"""How much of a test set the exemplars of its prompt give away, and the records without that."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from kcx_jax.corpora import Record
from kcx_jax.prompts.exemplars import pair_exemplar, surfaces
from kcx_jax.schema import Schema


@dataclass(frozen=True)
class Overlap:
    """Of how many mentions and triggers, how many have a surface that is an exemplar of their class."""

    mentions: int
    exemplars: int

    @property
    def share(self) -> float:
        """The second over the first, 0 where there are none."""
        return self.exemplars / self.mentions if self.mentions else 0.0

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(self.mentions + other.mentions, self.exemplars + other.exemplars)


def exemplar_overlap(schema: Schema, gold: Iterable[Record]) -> Overlap:
    """How many mentions and triggers of `gold` are, letter by letter, exemplars of their class in `schema`."""
    mentions = shown = 0
    for record in gold:
        for name, surface in surfaces(record):
            mentions += 1
            shown += _is_exemplar(schema, name, surface)
    return Overlap(mentions, shown)


def without_exemplars(schema: Schema, record: Record) -> Record:
    """The record without the mentions, relations and events that are exemplars of their class.

    Relations and arguments of such a mention go with it.
    """
    gone = {each.id for each in record.entities or () if _is_exemplar(schema, each.type, each.text)}
    entities, relations, events = record.entities, record.relations, record.events
    if entities is not None:
        entities = tuple(each for each in entities if each.id not in gone)
    if relations is not None:
        mentions = {each.id: each for each in record.entities or ()}
        relations = tuple(
            link
            for link in relations
            if not {link.head, link.tail} & gone
            and not _is_exemplar(schema, link.type, pair_exemplar(mentions[link.head], mentions[link.tail]))
        )
    if events is not None:
        events = tuple(
            dataclasses.replace(event, arguments=tuple(a for a in event.arguments if a.entity not in gone))
            for event in events
            if not _is_exemplar(schema, event.type, event.trigger.text)
        )
    return dataclasses.replace(record, entities=entities, relations=relations, events=events)


def _is_exemplar(schema: Schema, name: str, surface: str) -> bool:
    return name in schema.by_name and surface in schema.by_name[name].exemplars
