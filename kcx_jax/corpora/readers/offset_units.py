"""Offsets that count something else than code points: found out by the surfaces that stand beside them."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from kcx_jax.errors import KcxError


def _utf16(char: str) -> int:
    return 2 if ord(char) > 0xFFFF else 1


def _utf8(char: str) -> int:
    return len(char.encode("utf-8", "surrogatepass"))


_WIDTHS: tuple[Callable[[str], int], ...] = (_utf16, _utf8)


def code_points(text: str, spans: Sequence[tuple[int, int, str]], where: str) -> list[tuple[int, int]]:
    """[start, end) of each (start, end, surface) in code points, whatever unit the offsets count.

    Programs in a browser count UTF-16 units, others bytes; in most texts all three are the same. Raises `KcxError`
    opening with `where` where the surfaces stand at their offsets in none of them.
    """
    if all(0 <= start < end and text[start:end] == surface for start, end, surface in spans):
        return [(start, end) for start, end, _ in spans]
    for width in _WIDTHS:
        at = {offset: index for index, offset in enumerate(accumulate(map(width, text), initial=0))}
        found = [(at.get(start, -1), at.get(end, -1)) for start, end, _ in spans]
        if all(
            0 <= start < end and text[start:end] == surface
            for (start, end), (_, _, surface) in zip(found, spans, strict=True)
        ):
            return found
    start, end, surface = next(
        span for span in spans if not (0 <= span[0] < span[1] and text[span[0] : span[1]] == span[2])
    )
    raise KcxError(
        f"{where}: {surface[:60]!r} does not stand at [{start}, {end}) of the text, where {text[start:end][:60]!r} "
        "does, nor in UTF-16 units or UTF-8 bytes"
    )
