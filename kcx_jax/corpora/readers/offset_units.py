"""Offsets that count something else than code points: by the unit that was named, or by the surfaces beside them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from kcx_jax.errors import KcxError


def _utf16(char: str) -> int:
    return 2 if ord(char) > 0xFFFF else 1


def _utf8(char: str) -> int:
    return len(char.encode("utf-8", "surrogatepass"))


OFFSET_UNITS: Mapping[str, Callable[[str], int]] = {
    "code-points": lambda char: 1,
    "utf-16": _utf16,
    "utf-8": _utf8,
}
"""The units by name, each with how many of them a character is."""


def converter(text: str, unit: str) -> Callable[[int], int]:
    """What turns an offset in `unit` into one in code points, and one that parts no two characters into -1."""
    if unit == "code-points" or text.isascii():
        return lambda offset: offset if 0 <= offset <= len(text) else -1
    at = {offset: index for index, offset in enumerate(accumulate(map(OFFSET_UNITS[unit], text), initial=0))}
    return lambda offset: at.get(offset, -1)


def code_points(
    text: str, spans: Sequence[tuple[int, int, str]], where: str, unit: str | None = None
) -> list[tuple[int, int]]:
    """[start, end) of each (start, end, surface) in code points; `unit` None: whichever the surfaces stand at.

    Code points are tried first; in most texts all three are the same. Raises `KcxError` opening with `where` where the
    surfaces stand at their offsets in none of them, or not in the one that was named.
    """
    for name in OFFSET_UNITS if unit is None else (unit,):
        found = _in_unit(text, spans, name)
        if found is not None:
            return found
    start, end, surface = next(
        span for span in spans if _in_unit(text, [span], unit or "code-points") is None
    )
    fitting = [name for name in OFFSET_UNITS if unit and _in_unit(text, spans, name) is not None]
    raise KcxError(
        f"{where}: {surface[:60]!r} does not stand at [{start}, {end}) of the text "
        + (f"in {unit}" if unit else "in code points, UTF-16 units or UTF-8 bytes")
        + (f"; all its surfaces do in {fitting[0]}: name that as the offset unit" if fitting else "")
    )


def _in_unit(text: str, spans: Sequence[tuple[int, int, str]], unit: str) -> list[tuple[int, int]] | None:
    """The spans in code points, if each surface stands at its offsets."""
    place = converter(text, unit)
    found = [(place(start), place(end)) for start, end, _ in spans]
    right = all(
        0 <= start < end and text[start:end] == surface
        for (start, end), (_, _, surface) in zip(found, spans, strict=True)
    )
    return found if right else None
