"""Parallel records without an LLM: two annotated corpora of the same sentences, joined by their record ids.

What says which mention is which is `meta.projected_from` of the target (Multi-CrossRE): entity ``e3`` of the target was
projected from the source's entity whose number stands at place 3, and so for relations. Nothing is guessed: a record in
which something was lost, or whose sides contradict each other, is set aside and counted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kcx_jax.corpora import ParallelRecord, Record, RelationLink
from kcx_jax.errors import KcxError

EXAMPLES = 3
JOINED = "joined"
"""The stage in the provenance of such a pair."""


@dataclass
class SetAside:
    """What did not become a pair: by reason the records, and the ids of the first of them."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, id: str) -> None:
        """Count the record `id`."""
        self.counts[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(id)

    def lines(self) -> Iterator[str]:
        """A line for each reason."""
        for reason, count in self.counts.most_common():
            yield f"set aside: {count} {reason}, such as {', '.join(self.examples[reason])}"


class _Unpaired(Exception):
    """The two records are no pair; the message is the reason."""


def join_corpora(
    sources: Iterable[Record], targets: Iterable[Record], aside: SetAside
) -> list[ParallelRecord]:
    """The pairs of records with equal ids, in the order of `sources`; `aside` counts all others.

    Ids on the target side become those of the source. Raises `KcxError` for an id that
    stands twice on a side.
    """
    translated = _by_id(targets, "target")
    pairs = []
    for id, source in _by_id(sources, "source").items():
        target = translated.pop(id, None)
        if target is None:
            aside.add("source records without a target", id)
            continue
        try:
            pairs.append(_pair(source, target))
        except _Unpaired as reason:
            aside.add(str(reason), id)
    for id in translated:
        aside.add("target records without a source", id)
    return pairs


def _by_id(records: Iterable[Record], side: str) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for record in records:
        if record.id in found:
            raise KcxError(f"two {side} records have the id {record.id!r}; records are joined by id")
        found[record.id] = record
    return found


def _pair(source: Record, target: Record) -> ParallelRecord:
    """Raises `_Unpaired`."""
    if source.language == target.language:
        raise _Unpaired(f"records that are in {source.language!r} on both sides")
    names = _names(source, target)
    mentions = {mention.id: mention for mention in source.entities or ()}
    if len(names) < len(mentions):
        raise _Unpaired("records with entities lost in projection")
    moved = tuple(replace(mention, id=names[mention.id]) for mention in target.entities or ())
    if any(mention.type != mentions[mention.id].type for mention in moved):
        raise _Unpaired("records with an entity of another type in the target")
    if len({(mention.start, mention.end) for mention in moved}) < len(
        {(mention.start, mention.end) for mention in mentions.values()}
    ):
        raise _Unpaired("records with several entities of the source at one place of the target")
    relations = _relations(source, target, names)
    meta = {
        key: value
        for key, value in target.meta.items()
        if key not in ("projected_from", "lost_in_projection")
    }
    if isinstance(labels := meta.get("source_labels"), Mapping):
        meta["source_labels"] = {names[id]: label for id, label in labels.items() if id in names}
    paired = replace(target, entities=moved, relations=relations, meta=meta)
    return ParallelRecord(source.id, source, paired, {"stage": JOINED})


def _names(source: Record, target: Record) -> dict[str, str]:
    """Target entity id -> source entity id."""
    known = {mention.id for mention in source.entities or ()}
    numbers = _numbers(target, "entities")
    names = {f"e{place}": f"e{number}" for place, number in enumerate(numbers)}
    if names.keys() != {mention.id for mention in target.entities or ()} or not known >= set(names.values()):
        raise _Unpaired("records whose projection names entities that are not there")
    return names


def _numbers(target: Record, layer: str) -> list[int]:
    projected = target.meta.get("projected_from")
    numbers = projected.get(layer) if isinstance(projected, Mapping) else None
    if not isinstance(numbers, list):
        raise _Unpaired("records that do not say what their annotation was projected from")
    if not all(type(number) is int and number >= 0 for number in numbers) or len(set(numbers)) < len(numbers):
        raise _Unpaired("records whose projection is no list of different numbers")
    return numbers


def _relations(source: Record, target: Record, names: Mapping[str, str]) -> tuple[RelationLink, ...] | None:
    """The target's relations in its own order and the source's ids, once they are seen to be the same ones.

    A relation's end is compared by its place: of mentions at one place a file does not say which one it means.
    """
    if source.relations is None and target.relations is None:
        return None
    links, theirs = source.relations or (), target.relations or ()
    numbers = _numbers(target, "relations")
    if len(numbers) != len(theirs) or any(number >= len(links) for number in numbers):
        raise _Unpaired("records whose projection names relations that are not there")
    if len(theirs) < len(links):
        raise _Unpaired("records with relations lost in projection")
    places = {names[mention.id]: (mention.start, mention.end) for mention in target.entities or ()}
    for number, link in zip(numbers, theirs, strict=True):
        ours = links[number]
        ends = [(places[names[link.head]], places[ours.head]), (places[names[link.tail]], places[ours.tail])]
        if link.type != ours.type or any(one != other for one, other in ends):
            raise _Unpaired("records with a relation that is another one in the target")
    return tuple(links[number] for number in numbers)
