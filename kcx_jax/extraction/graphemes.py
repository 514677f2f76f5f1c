"""Where a text may be cut without taking apart what a reader sees as one character.

A small rule beside Unicode's extended grapheme clusters (UAX #29), made to err on one side only: where it allows a
cut, so does Unicode; where it allows none, Unicode may. It is asked only about a few places of a text, so that the core
need not depend on a library for it.
"""

import unicodedata

_JOINER = 0x200D
# What joins the character before it though it is no combining mark: zero-width joiner and non-joiner, half-width
# voicing marks, the vowels AM of Thai and Lao, skin tones, tags of flags, and the later letters of a Hangul syllable.
_JOINING = frozenset(
    code
    for block in (
        (0x200C, _JOINER), (0xFF9E, 0xFF9F), (0x0E33, 0x0E33), (0x0EB3, 0x0EB3), (0x1F3FB, 0x1F3FF),
        (0xE0020, 0xE007F), (0x1160, 0x11FF), (0xD7B0, 0xD7FF),
    )
    for code in range(block[0], block[1] + 1)
)  # fmt: skip
# What joins the character after it: the joiner of emoji, signs over numbers, letters written above the next one, and
# the first letters of a Hangul syllable.
_PREPENDED = frozenset(
    code
    for block in (
        (_JOINER, _JOINER), (0x0600, 0x0605), (0x06DD, 0x06DD), (0x070F, 0x070F), (0x0890, 0x0891),
        (0x08E2, 0x08E2), (0x0D4E, 0x0D4E), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x111C2, 0x111C3),
        (0x113D1, 0x113D1), (0x1193F, 0x1193F), (0x11941, 0x11941), (0x11A3A, 0x11A3A), (0x11A84, 0x11A89),
        (0x11D46, 0x11D46), (0x11F02, 0x11F02), (0x1100, 0x115F), (0xA960, 0xA97C),
    )
    for code in range(block[0], block[1] + 1)
)  # fmt: skip
_VIRAMA = 9  # its combining class: it ties the consonants on both its sides


def is_border(text: str, position: int, start: int = 0) -> bool:
    """Whether `text` may be cut before the character at `position`.

    Looks back no further than `start`, which is such a border itself.
    """
    if position <= start or position >= len(text):
        return True
    before, after = text[position - 1], text[position]
    if (before, after) == ("\r", "\n") or _joins(after) or ord(before) in _PREPENDED:
        return False
    if _is_flag(before) and _is_flag(after):
        return _flags_before(text, position, start) % 2 == 0
    return not _ends_in_virama(text, position, start)


def _joins(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or ord(character) in _JOINING


def _is_flag(character: str) -> bool:
    """Whether it is a regional indicator, of which two are a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, position: int, start: int) -> int:
    first = position
    while first > start and _is_flag(text[first - 1]):
        first -= 1
    return position - first


def _ends_in_virama(text: str, position: int, start: int) -> bool:
    """Whether one stands among the marks before `position`."""
    while position > start and _joins(text[position - 1]):
        position -= 1
        if unicodedata.combining(text[position]) == _VIRAMA:
            return True
    return False
