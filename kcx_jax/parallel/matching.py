"""Where the translated spans stand in the translated sentence, and by which rung each was found.

Rungs so far: ``verbatim`` and ``nfc`` (equal after both sides are brought to NFC; the sentence's own form is
taken). A place that cuts a word is none. What overlapped, nested or stood apart in the source does so in the
target; of mentions with the same translation, the k-th in the source takes the k-th free place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kcx_jax.parallel.spans import SourceSpan
from kcx_jax.scoring.places import Places


@dataclass(frozen=True)
class Match:
    """A half-open span of the target sentence, and the rung it was found by."""

    start: int
    end: int
    rung: str


def locate(sentence: str, spans: Sequence[SourceSpan], texts: Mapping[str, str]) -> dict[str, Match]:
    """The matches by span id; a span without one is missing. `texts` holds the translation of every span."""
    places = Places(sentence, texts.values())
    found: dict[str, Match] = {}
    placed: list[tuple[SourceSpan, Match]] = []
    for span in _longest_first(spans, texts):
        for place in places[texts[span.id]].places:
            match = Match(place.start, place.end, "verbatim")
            if place.cuts_word or not all(_agree(span, match, *other) for other in placed):
                continue
            if sentence[place.start : place.end] != texts[span.id]:
                match = Match(place.start, place.end, "nfc")
            found[span.id] = match
            placed.append((span, match))
            break
    return found


def _longest_first(spans: Sequence[SourceSpan], texts: Mapping[str, str]) -> list[SourceSpan]:
    """A short text must not take its place inside a longer one, nor an inner span before the outer one."""
    depth = {span.id: sum(other.holds(span) for other in spans) for span in spans}
    return sorted(spans, key=lambda span: (-len(texts[span.id]), depth[span.id], span.start))


def _agree(span: SourceSpan, match: Match, other: SourceSpan, other_match: Match) -> bool:
    """Whether the two stand to each other in the target as in the source."""
    if other.holds(span):
        return other_match.start <= match.start and match.end <= other_match.end
    if span.holds(other):
        return match.start <= other_match.start and other_match.end <= match.end
    if span.meets(other):
        return True  # crossing spans may come apart or fall together in translation
    return match.end <= other_match.start or other_match.end <= match.start
