"""Results for people: the text with its spans in colour, then relations and events."""

from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

from kcx_jax.corpora import Argument, Mention
from kcx_jax.corpora.record import Parts
from kcx_jax.corpora.record import Span as SpanOfText
from kcx_jax.extraction import Result
from kcx_jax.extraction.results import FoundArgument, FoundEntity, FoundEvent
from kcx_jax.page import visible

Placed = FoundEntity | FoundEvent | FoundArgument
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


def render(result: Result) -> Text:
    """The text with its entities, triggers and plain arguments marked and named; a line for each relation and event."""
    parts = _parts(result)
    lines = [_marked(result, parts)]

    def said(found: Placed) -> str:
        """The text of something found, the parts of a discontinuous one apart."""
        places = parts.get((found.start, found.end))
        return visible(" … ".join(result.text[start:end] for start, end in places) if places else found.text)

    lines += [
        Text.assemble("  ", _named(r.label, said(r.head)), " -> ", said(r.tail)) for r in result.relations
    ]
    for event in result.events:
        arguments = ", ".join(f"{a.role}={said(a)}" for a in event.arguments)
        lines.append(Text.assemble("  ", _named(event.label, said(event)), f" {arguments}".rstrip()))
    return Text("\n").join(lines)


def _parts(result: Result) -> dict[tuple[int, int], Parts]:
    """Hull -> the parts of what does not stand in one piece."""
    events = result.record.events or ()
    found: list[Mention | SpanOfText | Argument] = [*(result.record.entities or ())]
    for event in events:
        found += [event.trigger, *event.arguments]
    return {(each.spans[0][0], each.spans[-1][1]): each.spans for each in found if each.spans}


def _marked(result: Result, parts: dict[tuple[int, int], Parts]) -> Text:
    """The text; behind each span stands its label, innermost first."""
    text = result.text
    spans = [_Span(each.start, each.end, each.label) for each in result.entities]
    spans += [_Span(each.start, each.end, each.label) for each in result.events]
    # Arguments that are mentions are marked as those; of others several events may share one.
    plain = [argument for event in result.events for argument in event.arguments if argument.label is None]
    spans += dict.fromkeys(_Span(each.start, each.end, each.role) for each in plain)
    labels: dict[int, list[_Span]] = {}
    for span in sorted(spans, key=lambda span: span.end - span.start):
        labels.setdefault(span.end, []).append(span)
    style_at = [""] * len(text)
    for span in sorted(spans, key=lambda span: span.start - span.end):
        for start, end in parts.get((span.start, span.end), ((span.start, span.end),)):
            style_at[start:end] = [_style(span.label)] * (end - start)
    marked = Text()
    # In runs: a colour escape between two characters would keep marks from their letters, and Arabic ones apart.
    borders = [
        place for place in range(1, len(text)) if style_at[place] != style_at[place - 1] or place in labels
    ]
    for start, end in pairwise([0, *borders, len(text)]):
        marked.append(visible(text[start:end]), style_at[start] if text else "")
        for span in labels.get(end, ()):
            marked.append(f"[{span.label}]", f"dim {_colour(span.label)}")
    return marked


@dataclass(frozen=True)
class _Span:
    """A piece of the text that is marked, and what it is called."""

    start: int
    end: int
    label: str


def _named(label: str, text: str) -> Text:
    return Text.assemble((label, f"bold {_colour(label)}"), f": {text}")


def _style(label: str) -> str:
    return f"bold underline {_colour(label)}"


def _colour(label: str) -> str:
    return _COLOURS[sum(label.encode()) % len(_COLOURS)]
