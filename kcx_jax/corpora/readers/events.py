"""What the readers of event corpora share: spans checked by their surface, events by their own labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Argument, EventMention, Parts, Span
from kcx_jax.errors import KcxError


@dataclass(frozen=True)
class LabelledEvent:
    """An event as its corpus labels it. An argument is a role with a span or with the id of an entity."""

    where: str
    label: str
    trigger: Span
    arguments: tuple[tuple[str, Span | str], ...]

    def mention(self, options: Options) -> EventMention:
        """The event by the names of the schema; `KcxError` for a label or role that has none."""
        return EventMention(
            options.labels(self.label, self.where, "event"),
            self.trigger,
            tuple(
                _argument(options.roles(role, self.where, self.label), filler)
                for role, filler in self.arguments
            ),
        )

    def source(self) -> dict[str, Any]:
        """The corpus's own words: what `meta["source_events"]` holds, parallel to the record's events."""
        return {"type": self.label, "roles": [role for role, _ in self.arguments]}


def surface_span(text: str, parts: Parts, surface: str, where: str) -> Span:
    """The span of `parts`, whose characters, joined by a space, are the `surface` that the corpus gives.

    Parts may come in any order. Raises `KcxError` opening with `where` for parts that overlap or do not lie
    in the text, and for another surface.
    """
    ordered = tuple(sorted(parts))
    inside = all(0 <= start < end <= len(text) for start, end in ordered)
    if not ordered or not inside or any(end > start for (_, end), (start, _) in pairwise(ordered)):
        places = ", ".join(str(list(part)) for part in parts)
        shown = f"{places[:60]}..." if len(places) > 60 else places or "nothing"
        raise KcxError(f"{where}: {shown} is no span of a text of {len(text)} characters")
    found = " ".join(text[start:end] for start, end in parts)
    if found != surface:
        raise KcxError(
            f"{where}: the text has {found[:60]!r} there, not {surface[:60]!r}; "
            "offsets count Unicode code points and exclude the end"
        )
    start, end = ordered[0][0], ordered[-1][1]
    return Span(start, end, text[start:end], ordered if len(ordered) > 1 else ())


def event_meta(source: str, events: Sequence[LabelledEvent] | None, aside: Counter[str]) -> dict[str, Any]:
    """The `meta` of a record with these events (None: not annotated).

    `aside` counts what stands in the file and not in the record.
    """
    meta: dict[str, Any] = {"source": source}
    if events is not None:
        meta["source_events"] = [event.source() for event in events]
    if aside:
        meta["set_aside"] = dict(aside)
    return meta


def _argument(role: str, filler: Span | str) -> Argument:
    if isinstance(filler, str):
        return Argument(role, entity=filler)
    return Argument(role, start=filler.start, end=filler.end, text=filler.text, spans=filler.spans)
