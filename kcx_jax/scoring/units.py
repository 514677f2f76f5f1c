"""What is counted: the units of mode `strict`, each with its definition, as multisets of a record."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kcx_jax.corpora import Argument, EventMention, Mention, Record
from kcx_jax.schema import Task

# A unit of a record: the type it is reported under ("" where it has none), and what must be equal.
Unit = tuple[str, tuple]


@dataclass(frozen=True)
class Measure:
    """A kind of unit: its name, task, definition in words, how a record's are listed, and what makes labels equal.

    of_texts: the unit that a class and the texts of an item make, where places do not matter.
    """

    name: str
    task: Task
    definition: str
    units: Callable[[Record], Iterator[Unit]]
    of_labels: Callable[[str], str] = str
    of_texts: Callable[[str, Sequence[str]], Unit] | None = None

    def count(self, record: Record | None) -> Counter[Unit]:
        """The units of a record as a multiset; none for a record that is not there."""
        return Counter(self.units(record)) if record is not None else Counter()

    def repeated(self, entry: Mapping[str, Any]) -> Unit | None:
        """The unit of an entry of ``meta["unresolved"]`` that its text has less often; None where it has none."""
        texts = repeated_texts(entry)
        if self.of_texts is None or len(texts) != (2 if self.task == "re" else 1):
            return None
        return self.of_texts(str(entry.get("type", "")), texts)

    def label(self, name: str, role: str | None) -> str:
        """The type under which a claimed class (and role) that could not be grounded is reported."""
        if self.name == "ed_identification":
            return ""
        return self.of_labels(f"{name}.{role}" if role and self.name in ("eae", "eae_attached") else name)


def repeated_texts(entry: Mapping[str, Any]) -> list[str]:
    """What stands at the places of an item of ``meta["unresolved"]`` that was said more often; nothing of others."""
    texts = entry.get("repeated")
    return [str(each) for each in texts] if isinstance(texts, list) else []


def _span(item: Mention) -> tuple[int, int]:
    return item.start, item.end


def _entities(record: Record) -> Iterator[Unit]:
    for mention in record.entities or ():
        yield mention.type, (mention.type, _span(mention))


def _relations(record: Record, with_types: bool) -> Iterator[Unit]:
    mentions = {mention.id: mention for mention in record.entities or ()}
    for link in record.relations or ():
        head, tail = mentions[link.head], mentions[link.tail]
        types = (head.type, tail.type) if with_types else ()
        yield link.type, (link.type, _span(head), _span(tail), *types)


def mentioned(record: Record) -> list[tuple[str, int, int]]:
    """Type and trigger of each event; events of one type on one trigger are one mention of it."""
    triggers = ((event.type, event.trigger.start, event.trigger.end) for event in record.events or ())
    return list(dict.fromkeys(triggers))


def _triggers(record: Record, with_type: bool) -> Iterator[Unit]:
    for name, start, end in mentioned(record):
        label = name if with_type else ""
        yield label, (label, start, end)


def _arguments(record: Record, with_role: bool, attached: bool) -> Iterator[Unit]:
    mentions = {mention.id: mention for mention in record.entities or ()}
    for event, argument in _event_arguments(record):
        span = _span(mentions[argument.entity]) if argument.entity is not None else argument.span()
        trigger = (event.trigger.start, event.trigger.end) if attached else ()
        label = f"{event.type}.{argument.role}" if with_role else event.type
        yield label, (label, span, trigger)


def _event_arguments(record: Record) -> Iterator[tuple[EventMention, Argument]]:
    for event in record.events or ():
        for argument in event.arguments:
            yield event, argument


MEASURES = (
    Measure("ner", "ner", "entity: span and type", _entities),
    Measure("re", "re", "relation: type, head span and tail span", lambda r: _relations(r, False)),
    Measure("re_strict", "re", "relation: as re, and both entity types", lambda r: _relations(r, True)),
    Measure("ed_identification", "ed", "trigger: span", lambda r: _triggers(r, False)),
    Measure("ed", "ed", "trigger: span and event type", lambda r: _triggers(r, True)),
    Measure(
        "eae_identification", "eae", "argument: span and event type", lambda r: _arguments(r, False, False)
    ),
    Measure("eae", "eae", "argument: span, event type and role", lambda r: _arguments(r, True, False)),
    Measure(
        "eae_attached_identification",
        "eae",
        "argument: as eae_identification, and the trigger span",
        lambda r: _arguments(r, False, True),
    ),
    Measure(
        "eae_attached", "eae", "argument: as eae, and the trigger span", lambda r: _arguments(r, True, True)
    ),
)
