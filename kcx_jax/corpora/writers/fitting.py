"""What a format can hold, and a record without what it cannot: refused, or left out and counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kcx_jax.corpora.record import EventMention, Mention, Record
from kcx_jax.errors import KcxError


@dataclass(frozen=True)
class Holds:
    """Which parts of a record a format has a place for."""

    overlapping: bool = True
    discontinuous: bool = False
    relations: bool = True
    events: bool = True


@dataclass
class Loss:
    """What a writer leaves out, by kind. Unless it is `allowed`, the first of it is a `KcxError`."""

    writer: str
    allowed: bool
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record, kind: str, count: int = 1) -> None:
        """Count `count` things of a record that are left out; `KcxError` where that is not allowed."""
        if count and not self.allowed:
            raise KcxError(
                f"record {record.id!r}: the format {self.writer} cannot hold {kind}. Choose another writer, or "
                "pass --allow-loss (allow_loss=True) to write without them and have them counted"
            )
        if count:
            self.counts[kind] += count


def fit(record: Record, holds: Holds, loss: Loss, fits: Callable[[Mention], bool] | None = None) -> Record:
    """The record without what the format does not hold; what refers to a mention left out goes with it.

    `fits` says of one mention whether the format can write it. Of mentions that overlap, the one that begins first
    stays, the longest of those.
    """
    kept = list(record.entities or ())
    if not holds.discontinuous:
        kept = _without(record, loss, "discontinuous mentions", kept, lambda mention: not mention.spans)
    if fits is not None:
        kept = _without(record, loss, "mentions at these places", kept, fits)
    if not holds.overlapping:
        apart = _apart(kept)
        kept = _without(record, loss, "mentions that overlap", kept, lambda mention: mention.id in apart)
    ids = {mention.id for mention in kept}
    links = record.relations
    if links is not None:
        whole = tuple(link for link in links if holds.relations and link.head in ids and link.tail in ids)
        loss.add(record, "relations", len(links) - len(whole))
        links = whole if holds.relations else None
    events = record.events
    if events is not None:
        if not holds.events:
            loss.add(record, "events", len(events))
        events = tuple(_event(record, event, ids, holds, loss) for event in events) if holds.events else None
    entities = None if record.entities is None else tuple(kept)
    return replace(record, entities=entities, relations=links, events=events)


def _without(
    record: Record, loss: Loss, kind: str, mentions: list[Mention], stays: Callable[[Mention], bool]
) -> list[Mention]:
    kept = [mention for mention in mentions if stays(mention)]
    loss.add(record, kind, len(mentions) - len(kept))
    return kept


def _apart(mentions: list[Mention]) -> set[str]:
    """The ids of mentions that do not overlap, those that begin first and the longest of them before others."""
    ids, end = set(), 0
    for mention in sorted(mentions, key=lambda m: (m.start, -m.end)):
        if mention.start >= end:
            ids.add(mention.id)
            end = mention.end
    return ids


def _event(record: Record, event: EventMention, ids: set[str], holds: Holds, loss: Loss) -> EventMention:
    """The event with the arguments that can be written; of a discontinuous trigger, its hull."""
    trigger = event.trigger
    if trigger.spans and not holds.discontinuous:
        loss.add(record, "the parts of discontinuous triggers")
        trigger = replace(trigger, spans=())
    arguments = tuple(
        argument
        for argument in event.arguments
        if (argument.entity is None or argument.entity in ids) and (holds.discontinuous or not argument.spans)
    )
    loss.add(record, "arguments of events", len(event.arguments) - len(arguments))
    return replace(event, trigger=trigger, arguments=arguments)
