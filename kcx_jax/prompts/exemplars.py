"""Exemplars of classes, drawn from training records."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from kcx_jax.corpora import Mention, Record
from kcx_jax.errors import UsageError
from kcx_jax.schema import Concept

# How `meta["split"]` marks what is for evaluation.
_EVALUATION = frozenset({"dev", "development", "eval", "evaluation", "test", "valid", "validation"})


class ExemplarPool:
    """What training records show of each class: mentions of entities, pairs of relations, triggers of events.

    Raises `UsageError` when `meta["split"]` of a record says that it is for evaluation.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        # Of each record just this: a corpus of millions should not have to be in memory for its exemplars.
        self._shown: list[tuple[tuple[str, str], ...]] = []
        self._numbers: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._sources: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
        alike: dict[tuple[str, str], tuple[str, str]] = {}
        for number, record in enumerate(records):
            split = record.meta.get("split")
            if isinstance(split, str) and split.lower() in _EVALUATION:
                raise UsageError(
                    f"record {record.id!r} is of the split {split!r}: exemplars come from training records alone"
                )
            for key in _keys(record):
                self._numbers[key].append(number)
            self._shown.append(tuple(alike.setdefault(each, each) for each in _shown(record)))
            for name, surface in self._shown[-1]:
                self._sources[name].setdefault(surface, []).append(number)
        self._listed = {name: list(found) for name, found in self._sources.items()}

    def draw(
        self, concept: Concept, count: int, records: Sequence[Record], generator: random.Random
    ) -> tuple[str, ...]:
        """`count` different exemplars of a class, none from these records or from others of their id or text.

        Where the pool has too few, those that the class declares fill up; there may be fewer than `count`.
        """
        own = {number for record in records for key in _keys(record) for number in self._numbers.get(key, ())}
        sources = self._sources.get(concept.name, {})
        theirs = {surface for n in own for name, surface in self._shown[n] if name == concept.name}
        barred = {surface for surface in theirs if own.issuperset(sources[surface])}
        listed = self._listed.get(concept.name, [])
        drawn = generator.sample(listed, min(len(listed), count + len(barred)))
        allowed = [surface for surface in drawn if surface not in barred]
        spare = generator.sample(concept.exemplars, len(concept.exemplars))
        return tuple(dict.fromkeys([*allowed, *spare]))[:count]


def surfaces(record: Record) -> Iterator[tuple[str, str]]:
    """Class and surface of every mention and every trigger in a record."""
    for mention in record.entities or ():
        yield mention.type, mention.text
    for event in record.events or ():
        yield event.type, event.trigger.text


def pair_exemplar(head: Mention, tail: Mention) -> str:
    """How the exemplars of a relation show a pair, as in KnowCoder's schemas."""
    return f"({head.text}, {tail.text})"


def _shown(record: Record) -> Iterator[tuple[str, str]]:
    """Class and text of everything in a record that an exemplar may show."""
    yield from surfaces(record)
    mentions = {mention.id: mention for mention in record.entities or ()}
    for link in record.relations or ():
        yield link.type, pair_exemplar(mentions[link.head], mentions[link.tail])


def _keys(record: Record) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("id", record.id), ("text", record.text)
