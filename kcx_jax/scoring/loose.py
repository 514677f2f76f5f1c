"""Records whose answers were grounded down the ladder, as if they had not been."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink
from kcx_jax.errors import KcxError
from kcx_jax.schema import TASKS, Task
from kcx_jax.scoring.tally import entries

Find = tuple[str, int, int]  # the class of an item, and a span of it that only a looser form gave
Lost = list[dict[str, str]]
T = TypeVar("T")


def without_loose(record: Record) -> Record:
    """The record without what only a looser form found (``meta["loose"]``), which becomes unresolved.

    A relation goes with either of its ends, an event with its trigger, an argument alone, and a mention unless
    something that stays links it. Raises `KcxError` naming the record where `meta.loose` holds no finds.
    """
    if "loose" not in record.meta:
        return record
    loose = {task: _finds(record, task) for task in TASKS}
    mentions = {mention.id: mention for mention in record.entities or ()}
    relations, lost = _relations(record, mentions, loose["re"])
    events, others = _events(record, mentions, loose["ed"] | loose["eae"])
    linked = {end for link in relations for end in (link.head, link.tail)}
    linked |= {each.entity for event in events for each in event.arguments if each.entity is not None}
    spans = {(start, end) for finds in loose.values() for _, start, end in finds}
    entities, gone = _parted(mentions.values(), lambda m: m.id in linked or (m.start, m.end) not in spans)
    lost += others + [{"task": "ner", "type": each.type, "text": each.text} for each in gone]
    entries(record, "unresolved", "ner")  # a list, or an error
    unresolved = [_strictly(entry) for entry in record.meta.get("unresolved", ())]
    return replace(
        record,
        entities=None if record.entities is None else tuple(entities),
        relations=None if record.relations is None else tuple(relations),
        events=None if record.events is None else tuple(events),
        meta=record.meta | {"unresolved": [*unresolved, *lost]},
    )


def _strictly(entry: dict[str, Any]) -> dict[str, Any]:
    """An unresolved item, which is repeated no more where only a looser form found its equal."""
    return {key: entry[key] for key in entry if "rung" not in entry or key not in ("repeated", "rung")}


def _finds(record: Record, task: Task) -> set[Find]:
    found: set[Find] = set()
    for entry in entries(record, "loose", task):
        name, start, end = (entry.get(key) for key in ("type", "start", "end"))
        if not isinstance(name, str) or not isinstance(start, int) or not isinstance(end, int):
            wanted = "each entry must have a type (a string), a start and an end (whole numbers)"
            raise KcxError(f"record {record.id!r}: meta.loose: {wanted}")
        found.add((name, start, end))
    return found


def _parted(items: Iterable[T], stays: Callable[[T], bool]) -> tuple[list[T], list[T]]:
    sides: tuple[list[T], list[T]] = [], []
    for item in items:
        sides[not stays(item)].append(item)
    return sides


def _relations(
    record: Record, mentions: dict[str, Mention], loose: set[Find]
) -> tuple[list[RelationLink], Lost]:
    """The relations that stay, and the others as unresolved."""

    def stays(link: RelationLink) -> bool:
        ends = mentions[link.head], mentions[link.tail]
        return all((link.type, each.start, each.end) not in loose for each in ends)

    kept, gone = _parted(record.relations or (), stays)
    texts = [(link.type, f"{mentions[link.head].text} -> {mentions[link.tail].text}") for link in gone]
    return kept, [{"task": "re", "type": name, "text": text} for name, text in texts]


def _events(
    record: Record, mentions: dict[str, Mention], loose: set[Find]
) -> tuple[list[EventMention], Lost]:
    """The events that stay, with the arguments that stay, and the others as unresolved."""

    def span(argument: Argument) -> tuple[int, int]:
        entity: Any = mentions[argument.entity] if argument.entity is not None else None
        return (entity.start, entity.end) if entity else argument.span()

    kept, lost = [], []
    for event in record.events or ():
        stays = (event.type, event.trigger.start, event.trigger.end) not in loose
        loosely = [(event.type, *span(each)) in loose for each in event.arguments]
        arguments = tuple(
            each for each, is_loose in zip(event.arguments, loosely, strict=True) if not is_loose
        )
        if stays:
            kept.append(replace(event, arguments=arguments))
        else:
            lost.append({"task": "ed", "type": event.type, "text": event.trigger.text})
        for each, is_loose in zip(event.arguments, loosely, strict=True):
            if is_loose or not stays:
                surface = record.text[slice(*span(each))]
                lost.append({"task": "eae", "type": event.type, "role": each.role, "text": surface})
    return kept, lost
