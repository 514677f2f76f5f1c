"""Surfaces that a corpus names without saying where they stand: lined up with the text, or set aside.

A surface that stands once is clear. One that stands several times is taken nearest to its partner, apart from it
where that is possible, the earliest of equals; that is a choice, and is flagged. In scripts with spaces, places where
the surface is a whole word go before those inside a word.
"""

from bisect import bisect_left
from collections.abc import Sequence

from kcx_jax.corpora.words import inside_word

Place = tuple[int, int]


class Places:
    """Where surfaces stand in one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[str, list[Place]] = {}

    def of(self, surface: str) -> list[Place]:
        """The places of `surface`, in order and without overlap: as a whole word, or else anywhere."""
        if surface not in self._found:
            spans = self._find(surface) if surface else []
            whole = [span for span in spans if not any(inside_word(self.text, at) for at in span)]
            self._found[surface] = whole or spans
        return self._found[surface]

    def pair(self, first: str, second: str) -> tuple[Place, Place] | None:
        """The two places of two surfaces that are nearest to each other; None where one is not in the text."""
        pairs = [(start, near) for start in self.of(first) for near in neighbours(start, self.of(second))]
        return min(pairs, key=lambda pair: (*distance(*pair), *pair), default=None)

    def nearest(self, surface: str, partner: Place) -> Place | None:
        """The place of `surface` nearest to `partner`; None where it is not in the text."""
        return min(
            neighbours(partner, self.of(surface)),
            key=lambda place: (*distance(partner, place), place),
            default=None,
        )

    def ambiguous(self, surface: str) -> bool:
        """Whether `surface` stands several times, so that its place is a choice."""
        return len(self.of(surface)) > 1

    def _find(self, surface: str) -> list[Place]:
        spans, start = [], self.text.find(surface)
        while start >= 0:
            spans.append((start, start + len(surface)))
            start = self.text.find(surface, spans[-1][1])
        return spans


def distance(place: Place, other: Place) -> tuple[bool, int]:
    """How far two places are apart: whether they overlap, and the characters between them."""
    gap = max(place[0], other[0]) - min(place[1], other[1])
    return gap < 0, max(gap, 0)


def neighbours(place: Place, others: Sequence[Place]) -> list[Place]:
    """Those of `others` (in order, of one length) that can be nearest to `place`: at most four."""
    if not others:
        return []
    length = others[0][1] - others[0][0]
    before = bisect_left(others, (place[0] - length + 1, 0)) - 1
    at = bisect_left(others, (place[0], 0))
    after = bisect_left(others, (place[1], 0))
    return [others[i] for i in sorted({before, at - 1, at, after}) if 0 <= i < len(others)]
