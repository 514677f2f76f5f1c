"""Spans in marks: put into a text, and taken out of its translation again."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from kcx_jax.parallel.translation.checks import Refusal
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan

# Each pair with what a model may write for it; of several, the first that is not in the text is used.
_MARKS = {"[]": ("[［【〔", "]］】〕"), "{}": ("{｛", "}｝"), "<>": ("<＜〈", ">＞〉")}
LEAST_LIKENESS = 0.5
"""What marked words and the span's own translation must have in common, as `difflib` measures it."""


def marks_for(text: str) -> str | None:
    """An opening and a closing mark that the text does not have, nor anything like them; None if it has all."""
    return next((marks for marks, forms in _MARKS.items() if not set(text) & set("".join(forms))), None)


def mark(text: str, spans: Sequence[SourceSpan], marks: str) -> str:
    """The text with every span in marks. Raises `Refusal` for spans that cross, which marks cannot show."""
    for i, one in enumerate(spans):
        for other in spans[i + 1 :]:
            if one.meets(other) and not (one.holds(other) or other.holds(one)):
                raise Refusal("crossing", f"the spans {one.id} and {other.id} cross")
    opened = [span.start for span in spans]
    closed = [span.end for span in spans]
    pieces = (
        marks[1] * closed.count(at) + marks[0] * opened.count(at) + text[at : at + 1]
        for at in range(len(text) + 1)
    )
    return "".join(pieces)


def unmark(text: str, marks: str, count: int) -> tuple[str, list[Offsets]]:
    """The text without its marks, and what stood in them, without white space at its ends, in the order they open.

    Raises `Refusal` unless there are `count` parts and every mark has its other half.
    """
    opening, closing = _MARKS[marks]
    plain: list[str] = []
    parts: list[Offsets] = []
    open_parts: list[int] = []
    for char in text:
        if char in opening:
            open_parts.append(len(parts))
            parts.append((len(plain), len(plain)))
        elif char in closing:
            if not open_parts:
                raise Refusal("marks", f"a {marks[1]} closes nothing")
            part = open_parts.pop()
            parts[part] = (parts[part][0], len(plain))
        else:
            plain.append(char)
    if open_parts or len(parts) != count:
        raise Refusal("marks", f"{count} parts have to be enclosed in {marks}, each opened and closed")
    sentence = "".join(plain)
    trimmed = [_trimmed(sentence, *part) for part in parts]
    if any(start == end for start, end in trimmed):
        raise Refusal("marks", "a part that is enclosed is empty")
    return sentence, trimmed


def _trimmed(text: str, start: int, end: int) -> Offsets:
    words = text[start:end]
    start += len(words) - len(words.lstrip())
    return (start, max(start, end - len(words) + len(words.rstrip())))


def assign(
    sentence: str, parts: Sequence[Offsets], spans: Sequence[SourceSpan], texts: Mapping[str, str]
) -> dict[str, Offsets]:
    """Which marked part is which span: the most alike first, and of equally alike the nearest in order.

    `texts` holds the spans' own translations. Parts less alike than `LEAST_LIKENESS` belong to none.
    """
    likeness = sorted(
        (-_ratio(sentence[slice(*part)], texts[span.id]), abs(i - j), i, j)
        for i, span in enumerate(spans)
        for j, part in enumerate(parts)
    )
    found: dict[str, Offsets] = {}
    used: set[int] = set()
    for negated, _, i, j in likeness:
        if -negated >= LEAST_LIKENESS and spans[i].id not in found and j not in used:
            found[spans[i].id] = parts[j]
            used.add(j)
    return found


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
