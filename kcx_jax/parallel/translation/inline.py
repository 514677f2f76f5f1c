"""Spans as tags in a sentence: ``<s0>Ada</s0> was born in <s1>London</s1>``.

A tag is `<` or `</`, an id and `>`; ``&``, ``<`` and ``>`` of the text itself are written as in XML. Tags may nest,
and cross where spans do: each id opens and closes once.
"""

import re
from collections.abc import Collection, Sequence

from kcx_jax.parallel.translation.refusal import Refusal
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_PLAIN = {escape: char for char, escape in _ESCAPES.items()}
_PIECE = re.compile(r"<(/?)(\w+)>|(&amp;|&lt;|&gt;)|([<>&])", re.ASCII)


def tagged(text: str, spans: Sequence[SourceSpan]) -> str:
    """The text with a tag around every span, the outer first."""
    openings = sorted(spans, key=lambda span: (span.start, -span.end))
    closings = sorted(spans, key=lambda span: (span.end, -span.start))
    out, done = [], 0
    for at in sorted({edge for span in spans for edge in (span.start, span.end)}):
        out.append(_escaped(text[done:at]))
        out += [f"</{span.id}>" for span in closings if span.end == at]
        out += [f"<{span.id}>" for span in openings if span.start == at]
        done = at
    return "".join((*out, _escaped(text[done:])))


def untagged(text: str, ids: Collection[str]) -> tuple[str, dict[str, Offsets]]:
    """The text without its tags, and where each id stands in it.

    Raises `Refusal` unless each of `ids`, and no other, opens once and then closes once.
    """
    plain, done, length = [], 0, 0
    opened: dict[str, int] = {}
    places: dict[str, Offsets] = {}
    for found in _PIECE.finditer(text):
        plain.append(text[done : found.start()])
        length += found.start() - done
        done = found.end()
        closing, name, escape, loose = found.groups()
        if loose is not None:
            raise Refusal("wrong_tags", f"write {loose!r} as {_ESCAPES[loose]!r} where it is no tag")
        if escape is not None:
            plain.append(_PLAIN[escape])
            length += 1
        elif name not in ids:
            raise Refusal("wrong_ids", f"no span has the id {name[:20]!r}")
        elif not closing and name not in opened:
            opened[name] = length
        elif closing and name in opened and name not in places:
            places[name] = (opened[name], length)
        else:
            raise Refusal("wrong_ids", f"<{name}> has to open once and then close once")
    plain.append(text[done:])
    if missing := [name for name in ids if name not in places]:
        raise Refusal("wrong_ids", f"the tags {', '.join(missing)} are missing")
    sentence = "".join(plain)
    return sentence, {name: _trimmed(sentence, *place) for name, place in places.items()}


def _trimmed(text: str, start: int, end: int) -> Offsets:
    """Without the space at both ends, unless there is nothing else."""
    inner = text[start:end]
    if not inner.strip():
        return start, end
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)
