"""Long documents made of neighbouring records, for corpora of single sentences."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from kcx_jax.corpora.record import Argument, EventMention, Mention, Record, RelationLink, Span, make_span
from kcx_jax.errors import UsageError

_BETWEEN = "\n"
S = TypeVar("S", Mention, Span)


def join_records(records: Iterable[Record], count: int) -> Iterator[Record]:
    """Each `count` neighbours as one record, a line a text; the last one may have fewer.

    Its id is that of the first with how many there are (``doc1-7+20``), its language theirs ("und" where they
    differ); of their `meta` nothing is kept. What one of them is not annotated for is not annotated in the whole.
    Raises `UsageError` for a count below 1.
    """
    if count < 1:
        raise UsageError(f"join is {count}: must be at least 1")
    waiting = iter(records)
    while group := list(islice(waiting, count)):
        yield _joined(group)


def _joined(group: list[Record]) -> Record:
    text = _BETWEEN.join(record.text for record in group)
    entities: list[Mention] | None = []
    relations: list[RelationLink] | None = []
    events: list[EventMention] | None = []
    at = 0
    for number, record in enumerate(group):
        entities = _more(entities, record.entities, lambda m, n=number, a=at: _mention(m, n, a))
        relations = _more(relations, record.relations, lambda link, n=number: _link(link, n))
        events = _more(events, record.events, lambda event, n=number, a=at: _event(event, n, a, text))
        at += len(record.text) + len(_BETWEEN)
    languages = {record.language for record in group}
    return Record(
        f"{group[0].id}+{len(group)}",
        languages.pop() if len(languages) == 1 else "und",
        text,
        None if entities is None else tuple(entities),
        None if relations is None else tuple(relations),
        None if events is None else tuple(events),
    )


def _more(known, layer, change):
    return None if known is None or layer is None else [*known, *map(change, layer)]


def _id(id: str, number: int) -> str:
    return f"{number}.{id}"


def _moved(spans: tuple[tuple[int, int], ...], at: int) -> tuple[tuple[int, int], ...]:
    return tuple((start + at, end + at) for start, end in spans)


def _mention(mention: Mention, number: int, at: int) -> Mention:
    return replace(
        mention,
        id=_id(mention.id, number),
        start=mention.start + at,
        end=mention.end + at,
        spans=_moved(mention.spans, at),
    )


def _link(link: RelationLink, number: int) -> RelationLink:
    return replace(link, head=_id(link.head, number), tail=_id(link.tail, number))


def _event(event: EventMention, number: int, at: int, text: str) -> EventMention:
    trigger = event.trigger
    moved = replace(make_span(text, trigger.start + at, trigger.end + at), spans=_moved(trigger.spans, at))
    return replace(event, trigger=moved, arguments=tuple(_argument(a, number, at) for a in event.arguments))


def _argument(argument: Argument, number: int, at: int) -> Argument:
    if argument.entity is not None:
        return replace(argument, entity=_id(argument.entity, number))
    start, end = argument.span()
    return replace(argument, start=start + at, end=end + at, spans=_moved(argument.spans, at))
