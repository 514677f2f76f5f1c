"""Where surfaces stand in a text, and how good each place looks.

A surface stands somewhere verbatim, or after both sides are brought to NFC. Nothing looser counts, unless the ladder
is asked for: then a surface that stands nowhere is looked for rung by rung (`RUNGS`), each looser than the one before.
Places are ranked: one that equals the surface only in NFC, cuts a word, or lies inside a place of a longer surface
which was also asked for, is taken when a plain one will not do.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain

from kcx_jax.corpora.words import inside_word

_INSIDE, _CUTS_WORD, _RENORMALISED, _RUNG = 1, 2, 4, 8

RUNGS = ("case", "width", "marks", "ends")
"""The ladder below NFC: upper and lower case (ligatures and ß too); full and half width and other compatible forms,
Hangul as syllables or letter by letter, and characters nobody sees; kinds of quotes, dashes, middle dots and white
space; punctuation at the ends of the surface. Each includes those before it."""
_ALIKE = str.maketrans(
    dict.fromkeys("‘’‚‛′`´ʼ＇", "'")
    | dict.fromkeys("“”„‟″«»「」『』＂", '"')
    | dict.fromkeys("‐‑‒–—―−－", "-")
    | dict.fromkeys("•․‧∙⋅・･ꞏ", "·")
)
# Soft hyphen, zero-width characters, marks of direction, variation selectors.
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u061c\u180e\ufeff")) | dict.fromkeys(
    code
    for block in ((0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070), (0xFE00, 0xFE10))
    for code in range(*block)
)
_SYLLABLES = re.compile("[가-힣]+")
_CONSONANTS = range(0x3131, 0x314F), range(0xFFA1, 0xFFBF)  # letters by themselves: usual and half-width
_VOWELS = range(0x314F, 0x3164), range(0xFFC2, 0xFFDD)
# NFKC makes a letter by itself the first of a syllable, so a syllable's last one is spelled as that, too; and
# it writes ½ with a slash that nobody types.
_LAST = "HANGUL JONGSEONG "
_SPELLED = {
    ord(last): unicodedata.normalize("NFKC", unicodedata.lookup(f"HANGUL LETTER {name.removeprefix(_LAST)}"))
    for last, name in ((chr(code), unicodedata.name(chr(code))) for code in range(0x11A8, 0x11C3))
} | {ord("\N{FRACTION SLASH}"): "/"}


@dataclass(frozen=True, slots=True)
class Place:
    """A half-open span of the text; the higher its `rank`, the less likely it is meant (0: plain)."""

    start: int
    end: int
    rank: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """The place without its rank; spans sort in the order of the text."""
        return self.start, self.end

    @property
    def cuts_word(self) -> bool:
        """Whether it begins or ends inside a word, in a script that parts words by spaces."""
        return bool(self.rank & _CUTS_WORD)

    @property
    def rung(self) -> str | None:
        """The rung of the ladder on which it was found; None: verbatim or in NFC."""
        return RUNGS[self.rank // _RUNG - 1] if self.rank >= _RUNG else None


class Spots:
    """All places of one surface, in the order of the text and not overlapping one another."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = tuple(places)
        ranks = sorted({place.rank for place in self.places})
        self._tiers = [[place for place in self.places if place.rank == rank] for rank in ranks]

    def plainest_first(self) -> Iterator[Place]:
        """The places by rank, those of equal rank in the order of the text."""
        return chain.from_iterable(self._tiers)

    def nearest(self, anchor: Place, taken: Collection[Place | None] = ()) -> Place | None:
        """Of the places not in `taken`, the one of the best rank, and among those the nearest to `anchor`.

        Nearness is the number of characters between the two spans; of two equally near, the earlier.
        """
        for tier in self._tiers:
            middle = bisect_left(tier, anchor.start, key=lambda place: place.start)
            before = next((tier[i] for i in range(middle - 1, -1, -1) if tier[i] not in taken), None)
            after = next((tier[i] for i in range(middle, len(tier)) if tier[i] not in taken), None)
            if before or after:
                return min((p for p in (before, after) if p), key=lambda place: gap(place, anchor))
        return None


class Places:
    """The places of a set of surfaces in one text: ``Places(text, surfaces)[surface]``.

    Takes one search of the text a distinct surface (two where the text is not in NFC).
    """

    def __init__(self, text: str, surfaces: Iterable[str], ladder: bool = False) -> None:
        composed = None if unicodedata.is_normalized("NFC", text) else _Folded(text, _nfc)
        found = {surface: _all_spans(text, composed, surface) for surface in set(surfaces) if surface}
        if ladder:
            found = _down_the_ladder(text, found)
        cover = _Cover(span for spans in found.values() for span in spans)
        self._spots = {
            surface: Spots(
                Place(start, end, rank + _looks(text, start, end, cover))
                for (start, end), rank in sorted(spans.items())
            )
            for surface, spans in found.items()
        }

    def __getitem__(self, surface: str) -> Spots:
        return self._spots.get(surface, _NOWHERE)


_NOWHERE = Spots(())


def gap(one: Place, other: Place) -> int:
    """How many characters lie between two spans (0 where they touch or overlap)."""
    return max(0, one.start - other.end, other.start - one.end)


def _all_spans(text: str, composed: "_Folded | None", surface: str) -> dict[tuple[int, int], int]:
    """The spans of `surface` with their rank: 0 verbatim, else equal after NFC."""
    normal = unicodedata.normalize("NFC", surface)
    again = composed.find(normal) if composed else _find(text, normal)
    return dict.fromkeys(again, _RENORMALISED) | dict.fromkeys(_find(text, surface), 0)


def _find(text: str, surface: str) -> Iterator[tuple[int, int]]:
    start = text.find(surface)
    while start >= 0:
        yield start, start + len(surface)
        start = text.find(surface, start + len(surface))


def _down_the_ladder(
    text: str, found: dict[str, dict[tuple[int, int], int]]
) -> dict[str, dict[tuple[int, int], int]]:
    """The spans found, and for surfaces without any those of the first rung that has some."""
    found = dict(found)
    for number, rung in enumerate(RUNGS, start=1):
        missing = [surface for surface, spans in found.items() if not spans]
        if not missing:
            break
        fold = _FOLDS[rung]
        folded = _Folded(text, fold)
        for surface in missing:
            sought = fold(surface)
            if rung == "ends":
                sought = _without_ends(sought)
            if sought.strip():
                # Inside a longer word it would be another name: `US` in "because".
                whole = (
                    span for span in folded.find(sought) if not any(inside_word(text, at) for at in span)
                )
                found[surface] = dict.fromkeys(whole, number * _RUNG)
    return found


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _caseless(text: str) -> str:
    return _nfc(_nfc(text).casefold())


def _compatible(text: str) -> str:
    composed = _caseless(unicodedata.normalize("NFKC", text.translate(_UNSEEN)))
    return _SYLLABLES.sub(lambda found: unicodedata.normalize("NFD", found[0]), composed).translate(_SPELLED)


def _unmarked(text: str) -> str:
    return " ".join(_compatible(text.translate(_ALIKE)).split()) or (" " if text.isspace() else "")


_FOLDS: dict[str, Callable[[str], str]] = {
    "case": _caseless,
    "width": _compatible,
    "marks": _unmarked,
    "ends": _unmarked,
}


def _without_ends(text: str) -> str:
    """Without the punctuation and the spaces at both ends."""
    kept = [i for i, char in enumerate(text) if unicodedata.category(char)[0] not in "PZ"]
    return text[kept[0] : kept[-1] + 1] if kept else ""


class _Folded:
    """A text in another form with the way back: a match counts when it ends where original pieces do."""

    def __init__(self, text: str, fold: Callable[[str], str]) -> None:
        pieces, position = [], 0
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        for start, end in _pieces(text, runs=fold is _unmarked):
            piece = fold(text[start:end])
            if piece:  # what folds away belongs to no match's edge
                self._starts[position] = start
                position += len(piece)
                self._ends[position] = end
                pieces.append(piece)
        self._text = "".join(pieces)

    def find(self, surface: str) -> Iterator[tuple[int, int]]:
        """The spans of the original text whose other form is `surface`."""
        for start, end in _find(self._text, surface):
            if start in self._starts and end in self._ends:
                yield self._starts[start], self._ends[end]


def _pieces(text: str, runs: bool) -> Iterator[tuple[int, int]]:
    """Cut the text where no form composes across the cut; with `runs` white space is cut in whole runs."""
    start = 0
    for i in range(1, len(text)):
        if not (
            _may_compose(text[i])
            or _in_syllable(text, i)
            or (runs and text[i].isspace() and text[i - 1].isspace())
        ):
            yield start, i
            start = i
    if text:
        yield start, len(text)


def _may_compose(char: str) -> bool:
    """Whether `char` may join what stands before it: a combining mark, or a medial or final jamo."""
    if char < "\u0300":
        return False
    if char in "\uff9e\uff9f":  # half-width kana: their voice is a character of its own
        return True
    jamo = "\u1160" <= char <= "\u11ff"
    return jamo or unicodedata.category(char).startswith("M")


def _in_syllable(text: str, i: int) -> bool:
    """Whether letter `i` of a Hangul text spelled letter by letter goes on with the syllable before it."""
    if _is_letter(text[i], _VOWELS):
        return _is_letter(text[i - 1], _CONSONANTS)
    last = _is_letter(text[i], _CONSONANTS) and _is_letter(text[i - 1], _VOWELS)
    return last and not _is_letter(text[i + 1 : i + 2], _VOWELS)


def _is_letter(char: str, letters: tuple[range, range]) -> bool:
    return char != "" and (ord(char) in letters[0] or ord(char) in letters[1])


class _Cover:
    """Which spans lie inside a longer one of the collection."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(spans)
        self._starts = [start for start, _ in ordered]
        self._furthest = list(accumulate((end for _, end in ordered), max))

    def contains(self, start: int, end: int) -> bool:
        """Whether a longer span begins at or before `start` and ends at or after `end`."""
        before = bisect_left(self._starts, start)
        upto = bisect_right(self._starts, start)
        if before and self._furthest[before - 1] >= end:
            return True
        return upto > 0 and self._furthest[upto - 1] > end


def _looks(text: str, start: int, end: int, cover: _Cover) -> int:
    """The rank that a place earns by its surroundings."""
    cuts = inside_word(text, start) or inside_word(text, end)
    return cuts * _CUTS_WORD + cover.contains(start, end) * _INSIDE
