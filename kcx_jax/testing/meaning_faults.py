"""Faults of meaning: how a reply of stage 1 can be well formed and wrong.

Each changes a right reply in place and is chosen, as the span it befalls, by the request's content. One that finds
nothing to change (no repeated mention, no letters with case) leaves the reply right.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from anyascii import anyascii

from kcx_jax.parallel.translation.spans import Offsets


@dataclass
class Said:
    """A reply of stage 1 under way: the sentence, its spans as (id, text), and what they come from."""

    source: str
    sentence: str
    spans: list[tuple[str, str]]
    sources: dict[str, str]
    places: dict[str, Offsets]
    draw: int

    def victim(self) -> int:
        """The index of the span that the fault befalls."""
        return self.draw % len(self.spans)

    def in_sentence(self, i: int, text: str) -> None:
        """Put `text` where span `i` stands in the sentence."""
        start, end = self.places[self.spans[i][0]]
        self.sentence = self.sentence[:start] + text + self.sentence[end:]

    def in_span(self, i: int, text: str) -> None:
        """Give span `i` another text."""
        self.spans[i] = (self.spans[i][0], text)


def _both(change: Callable[[str], str]) -> Callable[[Said], None]:
    """The whole reply is changed, sentence and spans alike."""

    def fault(said: Said) -> None:
        said.sentence = change(said.sentence)
        said.spans = [(name, change(text)) for name, text in said.spans]

    return fault


def _span(change: Callable[[str], str]) -> Callable[[Said], None]:
    """One span is changed, the sentence is not."""

    def fault(said: Said) -> None:
        if said.spans:
            i = said.victim()
            said.in_span(i, change(said.spans[i][1]))

    return fault


def _place(change: Callable[[str], str]) -> Callable[[Said], None]:
    """One span is changed in the sentence only."""

    def fault(said: Said) -> None:
        if said.spans:
            i = said.victim()
            said.in_sentence(i, change(said.spans[i][1]))

    return fault


def _sentence(change: Callable[[str], str]) -> Callable[[Said], None]:
    """The sentence is changed, the spans are not."""

    def fault(said: Said) -> None:
        said.sentence = change(said.sentence)

    return fault


def _span_in_source(said: Said) -> None:
    if said.spans:
        i = said.victim()
        said.in_span(i, said.sources[said.spans[i][0]])


def _kept_span(said: Said) -> None:
    """The span stays in the source language, in the sentence as well."""
    if said.spans:
        i = said.victim()
        said.in_sentence(i, said.sources[said.spans[i][0]])
        _span_in_source(said)


def _half_translated(said: Said) -> None:
    """Only the spans are translated."""
    said.sentence = said.source
    for name, text in sorted(said.spans, key=lambda span: -len(said.sources[span[0]])):
        said.sentence = said.sentence.replace(said.sources[name], text, 1)


def _extra_span(said: Said) -> None:
    said.spans.append((f"s{len(said.spans)}", said.sentence[:1]))


def _duplicate_id(said: Said) -> None:
    said.spans += said.spans[:1]


def _renumbered_ids(said: Said) -> None:
    said.spans = [(f"s{i + 1}", text) for i, (_, text) in enumerate(said.spans)]


def _swapped_spans(said: Said) -> None:
    """The translations of two spans change places in the list."""
    if not said.spans:
        return
    i = said.victim()
    for j, (_, text) in enumerate(said.spans):
        if text != said.spans[i][1]:
            said.in_span(j, said.spans[i][1])
            said.in_span(i, text)
            return


def _swapped_in_sentence(said: Said) -> None:
    """Who did what to whom is turned round; each span is where its text is."""
    ordered = sorted(said.spans, key=lambda span: said.places[span[0]])
    for (one, first), (other, second) in pairwise(ordered):
        (a, b), (c, d) = said.places[one], said.places[other]
        if b <= c:
            middle = said.sentence[b:c]
            said.sentence = said.sentence[:a] + second + middle + first + said.sentence[d:]
            return


def _repeat_dropped(said: Said) -> None:
    """Of two mentions with one text the second becomes a mark."""
    texts = [text for _, text in said.spans]
    for i, text in enumerate(texts):
        if text in texts[:i]:
            said.in_sentence(i, "…")
            return


def _pinyin_span(said: Said) -> None:
    if said.spans:
        i = said.victim()
        latin = anyascii(said.spans[i][1])
        said.in_sentence(i, latin)
        said.in_span(i, latin)


def _wrong_number(text: str) -> str:
    """The last digit of the first number is another one."""
    digits = [i for i, char in enumerate(text) if char.isdigit()]
    if not digits:
        return text
    last = next(i for i in digits if i + 1 not in digits)
    return f"{text[:last]}{(int(text[last]) + 1) % 10}{text[last + 1 :]}" if text[last].isascii() else text


_SIMPLIFIED = "国学会为习来时们语东车长书见说门问间对应发战这个与网约师许进级"
_TRADITIONAL = "國學會為習來時們語東車長書見說門問間對應發戰這個與網約師許進級"
_AS_TRADITIONAL = str.maketrans(_SIMPLIFIED, _TRADITIONAL)
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_MARKS = str.maketrans({"·": "•", "-": "–", "'": "’", '"': "”"})
# Sentences that say nothing of the source, in a neighbour of each kind of target.
_STRANGERS = (
    "Esto no tiene nada que ver con todo aquello: {}. Aquí no se dice nada más.",
    "これはまったくべつのはなしです：{}。",
)


def _wrong_language(said: Said) -> None:
    """A sentence of another language around the spans: Japanese for Han, else Spanish."""
    stranger = _STRANGERS[any("\u4e00" <= char <= "\u9fff" for char in said.sentence)]
    said.sentence = stranger.format(", ".join(text for _, text in said.spans))


SEMANTIC: dict[str, Callable[[Said], None]] = {
    "extra_span": _extra_span,
    "duplicate_id": _duplicate_id,
    "renumbered_ids": _renumbered_ids,
    "swapped_spans": _swapped_spans,
    "swapped_in_sentence": _swapped_in_sentence,
    "span_in_source": _span_in_source,
    "kept_span": _kept_span,
    "half_translated": _half_translated,
    "wrong_language": _wrong_language,
    "pinyin": _both(anyascii),
    "pinyin_span": _pinyin_span,
    "traditional": _both(lambda text: text.translate(_AS_TRADITIONAL)),
    "traditional_span": _span(lambda text: text.translate(_AS_TRADITIONAL)),
    "nfd": _sentence(lambda text: unicodedata.normalize("NFD", text)),
    "full_width": _place(lambda text: text.translate(_FULL_WIDTH)),
    "zero_width": _place("\u200b".join),
    "bidi_marks": _place(lambda text: f"\u200f{text}\u200f"),
    "bidi_override": _place(lambda text: f"\u202e{text}\u202c"),
    "emoji": _sentence(lambda text: f"{text}🎉"),
    "inflection": _place(lambda text: f"{text}s"),
    "casing": _place(str.upper),
    "marks": _place(lambda text: text.translate(_MARKS)),
    "substring": _span(lambda text: text[: (len(text) + 1) // 2].strip()),
    "repeat_dropped": _repeat_dropped,
    "wrong_number": _sentence(_wrong_number),
    "shortened": _sentence(lambda text: text[: len(text) // 3]),
    "padded": _sentence(lambda text: f"{text} {text} {text}"),
    "chatter": _sentence(lambda text: f"Translation: {text}"),
    "tags": _place(lambda text: f"<s0>{text}</s0>"),
}
