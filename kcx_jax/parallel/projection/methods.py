"""The baselines, each from a record to a translated sentence and the words of its spans.

- translate-find: sentence and spans are translated apart, then the spans are looked for in the sentence.
- clap: the sentence is translated, then one question a span asks for its words (contextual label projection, CLaP).
- markers: the sentence is translated with its spans in brackets; each bracket is the span whose own translation is most
  like it (EasyProject).
- align: the sentence is translated, and the spans are carried over by word alignment, which `run` adds for all at once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from kcx_jax.corpora import Record
from kcx_jax.parallel.projection.asking import Asker, NoAnswer
from kcx_jax.parallel.projection.markers import assign, mark, marks_for, unmark
from kcx_jax.parallel.translation.checks import Refusal
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan


@dataclass(frozen=True)
class Draft:
    """A translated sentence with the words of its spans, or their places where the method knows them (not None)."""

    sentence: str
    texts: Mapping[str, str]
    places: Mapping[str, Offsets] | None = None


Method = Callable[[Asker, Record, Sequence[SourceSpan]], Awaitable[Draft]]


async def translate_find(asker: Asker, record: Record, spans: Sequence[SourceSpan]) -> Draft:
    """Raises `NoAnswer`."""
    sentence = await asker.sentence(record)
    return Draft(sentence, await _apart(asker, record, spans))


async def clap(asker: Asker, record: Record, spans: Sequence[SourceSpan]) -> Draft:
    """Raises `NoAnswer`."""
    sentence = await asker.sentence(record)
    return Draft(sentence, {span.id: await asker.find(record, sentence, span) for span in spans})


async def markers(asker: Asker, record: Record, spans: Sequence[SourceSpan]) -> Draft:
    """Raises `NoAnswer`, also for a text that has all kinds of brackets, and for spans that cross."""
    marks = marks_for(record.text)
    if marks is None:
        raise NoAnswer("markers: the text has brackets of every kind itself")
    try:
        marked = mark(record.text, spans, marks)
    except Refusal as refusal:
        raise NoAnswer(f"markers: {refusal.detail}") from None
    sentence, parts = await asker.marked(record, marked, marks, lambda text: unmark(text, marks, len(spans)))
    places = assign(sentence, parts, spans, await _apart(asker, record, spans))
    return Draft(sentence, {id: sentence[start:end] for id, (start, end) in places.items()}, places)


async def align(asker: Asker, record: Record, spans: Sequence[SourceSpan]) -> Draft:
    """Raises `NoAnswer`."""
    return Draft(await asker.sentence(record), {}, {})


async def _apart(asker: Asker, record: Record, spans: Sequence[SourceSpan]) -> dict[str, str]:
    found: dict[str, str] = {}
    for span in spans:
        if span.text not in found:
            found[span.text] = await asker.span(record, span)
    return {span.id: found[span.text] for span in spans}


METHODS: dict[str, Method] = {
    "translate-find": translate_find,
    "clap": clap,
    "markers": markers,
    "align": align,
}
