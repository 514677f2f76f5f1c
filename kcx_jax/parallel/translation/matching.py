"""Where the translated spans stand in the translated sentence, and by which rung each was found.

Rungs: ``verbatim``, ``nfc`` (equal after both sides are brought to NFC), then those of `scoring.places.RUNGS`. The
sentence's own form is taken. A place that cuts a word is none. What overlapped, nested or stood apart in the source
does so in the target. A translation that stands as often as its source takes the place of the same number; otherwise,
of mentions with the same translation, the k-th in the source takes the k-th free place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kcx_jax.parallel.translation.spans import SourceSpan
from kcx_jax.scoring.places import Place, Places

# How two spans stand to each other in the target where it is not as in the source.
INSIDE = "inside"  # apart in the source, one within the other, longer one in the target
APART = "apart"  # one within the other in the source, apart in the target
OVERLAP = "overlap"  # neither of these, and no pair to be kept


@dataclass(frozen=True)
class Match:
    """A half-open span of the target sentence, the rung it was found by, and its flags."""

    start: int
    end: int
    rung: str
    flags: tuple[str, ...] = ()


def locate(
    sentence: str, spans: Sequence[SourceSpan], texts: Mapping[str, str], flagged: bool = False
) -> dict[str, Match]:
    """The matches by span id; a span without one is missing. `texts` holds the translation of every span.

    With `flagged`, a span that has no place which stands to the others as in the source takes one that is `INSIDE`
    another or `APART` from it, and is flagged so.
    """
    places = Places(sentence, texts.values(), ladder=True)
    found: dict[str, Match] = {}
    rounds: tuple[set[str], ...] = (set(), {INSIDE, APART}) if flagged else (set(),)
    for allowed in rounds:
        for span in _longest_first(spans, texts):
            if span.id in found:
                continue
            for place in _in_turn(span, places[texts[span.id]].places):
                match = Match(place.start, place.end, _rung(sentence, place, texts[span.id]))
                flags = disagreements(span, match, spans, found)
                if flags <= allowed:
                    found[span.id] = replace(match, flags=tuple(sorted(flags)))
                    break
    return found


def _in_turn(span: SourceSpan, places: Sequence[Place]) -> list[Place]:
    """The places that cut no word, the likeliest first."""
    whole = [place for place in places if not place.cuts_word]
    return [whole[span.occurrence], *whole] if len(whole) == span.occurrences else whole


def disagreements(
    span: SourceSpan, match: Match, spans: Sequence[SourceSpan], found: Mapping[str, Match]
) -> set[str]:
    """How `span`, placed at `match`, stands to those already `found` otherwise than in the source."""
    pairs = [(other, found[other.id]) for other in spans if other.id in found and other is not span]
    return {kind for other, place in pairs if (kind := _disagreement(span, match, other, place))}


def _disagreement(span: SourceSpan, match: Match, other: SourceSpan, place: Match) -> str | None:
    inner, outer = (span, other) if other.holds(span) else (other, span)
    if outer.holds(inner):
        within, around = (match, place) if inner is span else (place, match)
        if around.start <= within.start and within.end <= around.end:
            return None
        return APART if not _overlap(match, place) else OVERLAP
    if span.meets(other) or not _overlap(match, place):
        return None  # crossing spans may come apart or fall together in translation
    longer, shorter = sorted((match, place), key=lambda each: each.start - each.end)
    held = longer.start <= shorter.start and shorter.end <= longer.end
    return INSIDE if held and longer.end - longer.start > shorter.end - shorter.start else OVERLAP


def _overlap(one: Match, other: Match) -> bool:
    return one.start < other.end and other.start < one.end


def _rung(sentence: str, place: Place, text: str) -> str:
    if place.rung is not None:
        return place.rung
    return "verbatim" if sentence[place.start : place.end] == text else "nfc"


def _longest_first(spans: Sequence[SourceSpan], texts: Mapping[str, str]) -> list[SourceSpan]:
    """A short text must not take its place inside a longer one, nor an inner span before the outer one."""
    depth = {span.id: sum(other.holds(span) for other in spans) for span in spans}
    return sorted(spans, key=lambda span: (-len(texts[span.id]), depth[span.id], span.start))
