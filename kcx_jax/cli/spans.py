"""Results for people: the text with its spans in colour, then relations and events."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from kcx_jax.extraction import Result

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


def render(result: Result) -> Text:
    """The text with its entities, triggers and plain arguments marked and named; a line for each relation and event."""
    lines = [_marked(result)]
    lines += [
        Text.assemble("  ", _named(r.label, r.head.text), " -> ", shown(r.tail.text))
        for r in result.relations
    ]
    for event in result.events:
        arguments = ", ".join(f"{a.role}={shown(a.text)}" for a in event.arguments)
        lines.append(Text.assemble("  ", _named(event.label, event.text), f" {arguments}".rstrip()))
    return Text("\n").join(lines)


def _marked(result: Result) -> Text:
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
        style_at[span.start : span.end] = [_style(span.label)] * (span.end - span.start)
    marked = Text()
    for position in range(len(text) + 1):
        for span in labels.get(position, ()):
            marked.append(f"[{span.label}]", f"dim {_colour(span.label)}")
        if position < len(text):
            marked.append(shown(text[position]), style_at[position])
    return marked


@dataclass(frozen=True)
class _Span:
    """A piece of the text that is marked, and what it is called."""

    start: int
    end: int
    label: str


def _named(label: str, text: str) -> Text:
    return Text.assemble((label, f"bold {_colour(label)}"), f": {shown(text)}")


def _style(label: str) -> str:
    return f"bold underline {_colour(label)}"


def _colour(label: str) -> str:
    return _COLOURS[sum(label.encode()) % len(_COLOURS)]


def shown(text: str) -> str:
    """`text` with pictures in place of control characters: it must not steer the terminal."""
    return "".join(_pictures(text))


def _pictures(text: str) -> Iterator[str]:
    for character in text:
        code = ord(character)
        if code < 0x20 and character not in "\n\t":
            yield chr(0x2400 + code)
        elif 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000:
            yield "\N{REPLACEMENT CHARACTER}"
        else:
            yield character
