"""What of a record has to be translated beside its text, and how a translated record is put together.

Entities, triggers and untyped arguments are all spans; those at the same place are one. Relations and typed
arguments refer to entities by id and travel unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kcx_jax.corpora import Argument, Mention, Record, Span
from kcx_jax.scoring.places import Places

Offsets = tuple[int, int]


@dataclass(frozen=True)
class SourceSpan:
    """A place of the source text with something annotated there.

    ``id`` ("s0", "s1", ... in the order of the text) names it in requests; ``role`` says what it is, for the
    translator: "Person", "trigger of Attack". Its text stands ``occurrences`` times in the source, annotated or not,
    this being number ``occurrence`` from 0 on.
    """

    id: str
    start: int
    end: int
    text: str
    role: str
    occurrence: int = 0
    occurrences: int = 1

    def holds(self, other: "SourceSpan") -> bool:
        """Whether the other span lies inside this one."""
        return self.start <= other.start and other.end <= self.end

    def meets(self, other: "SourceSpan") -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end


def source_spans(record: Record) -> tuple[SourceSpan, ...]:
    """The places of `record` that are annotated, in the order of the text, the longer first.

    A discontinuous span counts as its hull: in the target language it is one piece.
    """
    roles: dict[Offsets, list[str]] = {}

    def note(span: Span | Mention | Argument, role: str) -> None:
        roles.setdefault(_offsets(span), []).append(role)

    for mention in record.entities or ():
        note(mention, mention.type)
    for event in record.events or ():
        note(event.trigger, f"trigger of {event.type}")
        for argument in event.arguments:
            if argument.entity is None:
                note(argument, f"{argument.role} of {event.type}")
    places = sorted(roles, key=lambda place: (place[0], -place[1]))
    return tuple(
        SourceSpan(
            *(f"s{i}", start, end, record.text[start:end], ", ".join(dict.fromkeys(roles[start, end]))),
            *_occurrence(record.text, start, end),
        )
        for i, (start, end) in enumerate(places)
    )


def _occurrence(text: str, start: int, end: int) -> tuple[int, int]:
    """The number of this occurrence of its surface among those that cut no word, and of how many."""
    surface = text[start:end]
    if text.count(surface) == 1:
        return 0, 1
    begins = [place.start for place in Places(text, [surface])[surface].places if not place.cuts_word]
    return (begins.index(start), len(begins)) if start in begins else (0, 0)


def carry_over(record: Record, text: str, language: str, places: Mapping[Offsets, Offsets]) -> Record:
    """The record in another language: `text`, with every span of the source moved by `places`.

    Ids, types, relations and typed arguments stay; `places` maps the offsets of each `source_spans` place.
    """

    def move(span: Any) -> Any:
        start, end = places[_offsets(span)]
        return replace(span, start=start, end=end, text=text[start:end], spans=())

    entities = relations = events = None
    if record.entities is not None:
        entities = tuple(sorted(map(move, record.entities), key=lambda mention: (mention.start, mention.end)))
    if record.relations is not None:
        relations = record.relations
    if record.events is not None:
        events = tuple(
            replace(
                event,
                trigger=move(event.trigger),
                arguments=tuple(a if a.entity is not None else move(a) for a in event.arguments),
            )
            for event in record.events
        )
    return Record(record.id, language, text, entities, relations, events)


def places_of(source: Record, target: Record) -> dict[Offsets, Offsets]:
    """Where each `source_spans` place of `source` stands in `target`, which `carry_over` made of it."""
    moved = {mention.id: mention for mention in target.entities or ()}
    both: list[tuple[Any, Any]] = [(mention, moved[mention.id]) for mention in source.entities or ()]
    for one, other in zip(source.events or (), target.events or (), strict=True):
        both.append((one.trigger, other.trigger))
        arguments = zip(one.arguments, other.arguments, strict=True)
        both += [(here, there) for here, there in arguments if here.entity is None]
    return {_offsets(here): _offsets(there) for here, there in both}


def discontinuous(record: Record) -> int:
    """How many spans of the record are in pieces; their translations are not."""
    spans: list[Span | Mention | Argument] = list(record.entities or ())
    for event in record.events or ():
        spans += [event.trigger, *event.arguments]
    return sum(bool(span.spans) for span in spans)


def _offsets(span: Span | Mention | Argument) -> Offsets:
    assert span.start is not None  # an argument without an entity has offsets: `Record.check`
    assert span.end is not None
    return span.start, span.end
