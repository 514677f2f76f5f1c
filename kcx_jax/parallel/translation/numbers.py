"""Whether the numbers of a sentence are still in its translation, whatever way each language writes them.

Only numbers written in digits are looked for, and those of a translation may be in digits of any script, grouped or
not, with a decimal point or comma, scaled (``1.5 million``, ``150万``) or in Chinese numerals. Scaling makes powers of
ten invisible: 200 and 2,000 are the same here.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator

_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f\u2009\u066b\u066c]\d+)*")
_DIGITS = dict(zip("〇零一二三四五六七八九两", (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2), strict=True))
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8, "萬": 10**4, "億": 10**8}
_NUMERAL = re.compile(f"[{''.join((*_DIGITS, *_UNITS))}]+")
# From so many digits on, a number is a year, an amount or a code, and hardly ever spelled out in words.
LONG = 3


@functools.lru_cache(maxsize=1024)  # asked twice of each translation: whether it may be, and what to flag
def lost_numbers(source: str, target: str) -> tuple[str, ...]:
    """The numbers of `source`, as they are written there, that `target` does not have."""
    numbers = _NUMBER.findall(source)
    kept = set(_values(target)) if numbers else set()
    return tuple(number for number in numbers if not _in(number, kept))


def is_long(number: str) -> bool:
    """Whether a number has so many digits that no translator spells it out."""
    return sum(map(str.isdigit, number)) >= LONG


def _in(number: str, kept: set[str]) -> bool:
    digits = _digits(number)
    parts = [_digits(part) for part in re.findall(r"\d+", number)]
    if _bare(digits) in kept or all(_bare(part) in kept for part in parts):
        return True
    if len(digits) != 4 or not digits.endswith("0"):
        return False
    century, decade = digits[:2], digits[2:]  # 1980s is 20世纪80年代, 2000s may be 21世纪初
    return (_bare(str(int(century) + 1)) if decade == "00" else _bare(decade)) in kept


def _values(text: str) -> Iterator[str]:
    for number in _NUMBER.findall(text):
        yield _bare(_digits(number))
        yield from (_bare(_digits(part)) for part in re.findall(r"\d+", number))
    for numeral in _NUMERAL.findall(text):
        yield _bare(_read_numeral(numeral))


def _digits(number: str) -> str:
    if number.isascii():
        return "".join(filter(str.isdigit, number))
    return "".join(str(unicodedata.decimal(char)) for char in number if char.isdecimal())


def _bare(digits: str) -> str:
    """Without the zeros at both ends: the same for every power of ten."""
    return digits.strip("0") or "0"


def _read_numeral(numeral: str) -> str:
    """The digits of a Chinese numeral, read digit by digit (一九八四) or by places (三百五十)."""
    if not any(char in _UNITS for char in numeral):
        return "".join(str(_DIGITS[char]) for char in numeral)
    total = section = digit = 0
    for char in numeral:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif (unit := _UNITS[char]) < 10**4:
            section += (digit or 1) * unit
            digit = 0
        else:
            total += (section + digit or 1) * unit
            section = digit = 0
    return str(total + section + digit)
