"""Whether a place in a text lies inside a word: where a surface must not begin or end if another will do."""

import unicodedata

# Scripts whose words are not parted by spaces; Han, kana and Hangul are told by their width, wide or half.
_UNSPACED = ((0x0E00, 0x0EFF), (0x0F00, 0x109F), (0x1780, 0x17FF))  # Thai and Lao; Tibetan, Myanmar; Khmer


def inside_word(text: str, position: int) -> bool:
    """Whether the characters on both sides of `position` belong to one word.

    Letters and digits do in scripts that part words by spaces; a mark belongs to the letter before it in every script.
    """
    if not 0 < position < len(text):
        return False
    after = text[position]
    if after == "\u200d" or unicodedata.category(after).startswith("M"):
        return True
    return _spaced_letter(text[position - 1]) and _spaced_letter(after)


def _spaced_letter(char: str) -> bool:
    if char.isascii():
        return char.isalnum()
    if not (char.isalnum() or unicodedata.category(char).startswith("M")):
        return False
    code = ord(char)
    return unicodedata.east_asian_width(char) not in "WFH" and not any(a <= code <= b for a, b in _UNSPACED)
