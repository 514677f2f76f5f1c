"""Whether spans stand to each other in the target as they do in the source: within, or apart."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

from kcx_jax.parallel.translation.spans import Offsets, SourceSpan


def rearranged(spans: Iterable[SourceSpan], places: Mapping[str, Offsets]) -> tuple[str, str] | None:
    """The ids of the first two spans that lie in each other, or apart, otherwise than in the source; None: no such.

    `places` holds offsets of the target by span id; a span that is not in it has no place yet. Spans that overlap
    without lying in each other may come apart in translation.
    """
    placed = [span for span in spans if span.id in places]
    for one, other in combinations(placed, 2):
        ours, theirs = (
            replace(span, start=places[span.id][0], end=places[span.id][1]) for span in (one, other)
        )
        within = one.holds(other) <= ours.holds(theirs) and other.holds(one) <= theirs.holds(ours)
        if not within or (ours.meets(theirs) and not one.meets(other)):
            return one.id, other.id
    return None
