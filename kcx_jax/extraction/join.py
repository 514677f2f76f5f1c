"""The answers to the windows of one text -> one view of the whole: what two windows see is one thing."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kcx_jax.corpora import EventMention, Mention, Record, RelationLink
from kcx_jax.extraction.answers import Question
from kcx_jax.extraction.merge import renamed
from kcx_jax.extraction.results import Key, entity_key, event_key, relation_key
from kcx_jax.extraction.windows import Span
from kcx_jax.scoring import task_view


@dataclass(frozen=True)
class Piece:
    """What the answer to one question about one window came to.

    `record` is the task's view of the whole text, as far as the window shows it; `scores` those of its items. `whole`:
    the answer came and came to its end, so that what it does not list was not seen.
    """

    question: Question
    window: Span
    record: Record
    scores: dict[Key, float]
    whole: bool

    def holds(self, hull: Span) -> bool:
        """Whether all of `hull` stands in the window."""
        return self.window[0] <= hull[0] and hull[1] <= self.window[1]

    def margin(self, hull: Span) -> float:
        """The characters between `hull` and the nearer end of the window at which the text goes on."""
        start, end = self.window
        before = hull[0] - start if start > 0 else float("inf")
        after = end - hull[1] if end < len(self.record.text) else float("inf")
        return min(before, after)


@dataclass(frozen=True)
class _Item:
    """A mention, a relation with its mentions, or an event with those among its arguments."""

    value: Any
    core: Span  # what a window has to hold that could have seen it
    hull: Span
    mentions: tuple[Mention, ...] = ()


def join(pieces: Sequence[Piece]) -> tuple[Record, dict[Key, float]]:
    """One task's view of the whole text, and the scores of its items, from all its pieces.

    Windows that saw all of an item may differ about it. The one in which it stands furthest from where the text was cut
    decides whether it is there, and what it is like, unless its answer broke off. So what a cut left of an item gives
    way to the item. An event is told by its type and trigger, and decided where all its arguments are in view. Kept
    relations and events keep their mentions. Pieces of different questions do not contradict one another.
    """
    if len(pieces) == 1:
        return pieces[0].record, pieces[0].scores
    rivals: defaultdict[int, list[Piece]] = defaultdict(list)
    for piece in pieces:
        rivals[id(piece.question)].append(piece)
    kept: list[_Item] = []
    scores: dict[Key, float] = {}
    for group in rivals.values():
        for key, winner, items in _decided(group):
            kept += items
            if key in winner.scores:
                scores.setdefault(key, winner.scores[key])
    record = task_view(_record(pieces[0].record, kept), pieces[0].question.task)
    return replace(record, meta=_meta(pieces, kept)), scores


def _decided(pieces: Sequence[Piece]) -> Iterator[tuple[Key, Piece, list[_Item]]]:
    """The items that are kept of pieces of one question, in order of their windows, with the piece that decides."""
    found: defaultdict[Key, dict[int, list[_Item]]] = defaultdict(dict)
    for number, piece in enumerate(pieces):
        for key, item in _items(piece):
            found[key].setdefault(number, []).append(item)
    starts, ends = ([piece.window[i] for piece in pieces] for i in (0, 1))
    for key, versions in found.items():
        items = [item for version in versions.values() for item in version]
        core = items[0].core
        hull = min(item.hull[0] for item in items), max(item.hull[1] for item in items)
        seeing = range(bisect_left(ends, core[1]), bisect_right(starts, core[0]))
        able = [number for number in seeing if pieces[number].whole or number in versions]
        in_full = [number for number in able if pieces[number].holds(hull)]
        sight = hull if in_full else core
        best = max(in_full or able, key=lambda number: pieces[number].margin(sight))
        if best in versions:
            yield key, pieces[best], versions[best]


def _items(piece: Piece) -> Iterator[tuple[Key, _Item]]:
    """What a piece lists, each by the key that is its own in the whole text."""
    record, task = piece.record, piece.question.task
    mentions = {mention.id: mention for mention in record.entities or ()}
    if task == "ner":
        for mention in mentions.values():
            span = mention.start, mention.end
            yield entity_key(mention), _Item(mention, span, span, (mention,))
    for link in record.relations or ():
        ends = mentions[link.head], mentions[link.tail]
        hull = _hull((end.start, end.end) for end in ends)
        yield relation_key(link.type, *ends), _Item(link, hull, hull, ends)
    for event in record.events or ():
        core = event.trigger.start, event.trigger.end
        own = [mentions[each.entity] for each in event.arguments if each.entity is not None]
        spans = [each.span() for each in event.arguments if each.entity is None]
        hull = _hull([core, *spans, *((mention.start, mention.end) for mention in own)])
        yield event_key(event), _Item(event, core, hull, tuple(own))


def _hull(spans: Iterable[Span]) -> Span:
    starts, ends = zip(*spans, strict=True)
    return min(starts), max(ends)


def _record(like: Record, items: Sequence[_Item]) -> Record:
    """What a task lists, as a record with the layers that `like` has."""
    ids: dict[Key, str] = {}
    mentions: list[Mention] = []
    relations: list[RelationLink] = []
    events: list[EventMention] = []
    for item in items:
        names = {}
        for mention in item.mentions:
            key = entity_key(mention)
            if key not in ids:
                ids[key] = f"m{len(ids)}"
                mentions.append(replace(mention, id=ids[key]))
            names[mention.id] = ids[key]
        if isinstance(item.value, RelationLink):
            relations.append(replace(item.value, head=names[item.value.head], tail=names[item.value.tail]))
        elif isinstance(item.value, EventMention):
            arguments = tuple(renamed(each, names) for each in item.value.arguments)
            events.append(replace(item.value, arguments=arguments))
    return replace(
        like,
        entities=None if like.entities is None else tuple(mentions),
        relations=None if like.relations is None else tuple(dict.fromkeys(relations)),
        events=None if like.events is None else tuple(events),
    )


def _meta(pieces: Sequence[Piece], kept: Sequence[_Item]) -> dict[str, Any]:
    """The lists of all pieces joined; of what was found by a looser form, only what is kept, and once."""
    spans = {span for item in kept for span in _spans(item)}
    meta: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for piece in pieces:
        for name, entries in piece.record.meta.items():
            meta[name] += entries
    if loose := meta.pop("loose", None):
        once = {tuple(each.values()): each for each in loose if (each["start"], each["end"]) in spans}
        meta["loose"] = list(once.values())
    return {name: entries for name, entries in meta.items() if entries}


def _spans(item: _Item) -> Iterator[Span]:
    yield from ((mention.start, mention.end) for mention in item.mentions)
    if isinstance(item.value, EventMention):
        yield item.core
        yield from (each.span() for each in item.value.arguments if each.entity is None)
