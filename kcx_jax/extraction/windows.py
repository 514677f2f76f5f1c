"""A long text -> overlapping windows, each of which a model reads by itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kcx_jax.errors import UsageError
from kcx_jax.extraction.graphemes import is_border

Span = tuple[int, int]

SIZE = 1000
"""Characters of a window where nothing else is asked for. Models here are tuned on sentences; of 30,000 in 16
languages, from all kinds of corpora, the longest had 777."""
_REACH = 4  # a border is looked for in this part of a window, or of an overlap

_LINE = r"(?>\r\n|[\n\r\x85\u2028])"
_CLOSING = "[\"'”’»›)\\]}」』）】》〉]"
# From the best to the least: the end of a paragraph, of a sentence, of a line, of a word. White space and closing
# marks stay with what they follow.
_BORDERS = tuple(
    map(
        re.compile,
        (
            rf"{_LINE}[^\S\r\n]*+{_LINE}\s*+|\u2029\s*+",
            rf"(?<=[.!?…‥])(?:{_CLOSING}*+\s++)|[。！？｡؟۔।॥։።፧።။។༎།᙮᠃᠉߹෴꓿]++{_CLOSING}*+\s*+",
            rf"{_LINE}\s*+",
            r"[\s\u200b]++",
        ),
    )
)


@dataclass(frozen=True)
class Window:
    """How much of a text a model reads at once: `size` characters at most, the last `overlap` of which the next window
    reads again, so that what is no longer than that stands whole in one of them.

    Raises `UsageError` where they cannot be.
    """

    size: int = SIZE
    overlap: int = SIZE // 5

    def __post_init__(self) -> None:
        if not all(isinstance(each, int) for each in (self.size, self.overlap)):
            raise UsageError(
                f"a window is so many characters, found {self.size!r} and an overlap of {self.overlap!r}"
            )
        if self.size < 1:
            raise UsageError(f"a window of {self.size} characters: must be 1 or more")
        if not 0 <= 2 * self.overlap <= self.size:
            raise UsageError(
                f"windows of {self.size} characters cannot overlap by {self.overlap}: by half of them at most"
            )

    @classmethod
    def of(cls, size: int | None, overlap: int | None) -> "Window | None":
        """The window of `size`; without an overlap given, a fifth of it. None for no size: texts are not cut."""
        if size is not None:
            fifth = size // 5 if isinstance(size, int) else 0
            return cls(size, fifth if overlap is None else overlap)
        if overlap is not None:
            raise UsageError(f"an overlap of {overlap} without windows: give their size too")
        return None


def cut(text: str, window: Window | None, fit: Callable[[str], int]) -> list[Span]:
    """The windows of `text`, in order, as half-open spans; together they are the whole of it. One for a short text.

    `fit` tells how many characters of a piece a model has room for: as many as it has, or fewer, but one at least.
    Windows are made smaller where they do not fit, and their overlaps with them; without a `window` nothing else cuts.
    They begin and end at the best border near: of a paragraph, a sentence, a line, a word, or else between characters
    as readers see them (`is_border`); inside one of these only where it fills a window. Takes time linear in the text,
    and what `fit` takes for about twice its length.
    """
    window = window or Window(max(1, len(text)), len(text) // 5)
    spans: list[Span] = []
    start, size = 0, window.size
    while True:
        size = min(window.size, 2 * size)  # a piece of many tokens may have made it smaller
        end = _end(text, start, size)
        while (room := fit(text[start:end])) < end - start:
            size = room
            end = _end(text, start, size)
        if spans and end <= spans[-1][1]:  # a character of many code points left nothing new to it
            start = spans[-1][1]
            continue
        spans.append((start, end))
        if end == len(text):
            return spans
        overlap = window.overlap * size // window.size
        start = _start(text, start, end, overlap)


def _end(text: str, start: int, size: int) -> int:
    """Where a window of at most `size` ends."""
    if len(text) - start <= size:
        return len(text)
    return _border(text, start, start + size - size // _REACH, start + size)


def _start(text: str, start: int, end: int, overlap: int) -> int:
    """Where the window after the one from `start` to `end` starts."""
    latest = end - overlap
    if overlap == 0 or latest <= start:
        return end
    return _border(text, start, max(start, latest - overlap // _REACH), latest)


def _border(text: str, start: int, first: int, last: int) -> int:
    """The best place to cut behind `first`, up to `last`; where there is none, the next one before, behind `start`."""
    for kind in _BORDERS:
        ends = [found.end() for found in kind.finditer(text, first, last)]
        for end in reversed(ends):
            if end > first and is_border(text, end, start):
                return end
    return next((place for place in range(last, start, -1) if is_border(text, place, start)), last)
