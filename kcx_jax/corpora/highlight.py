"""A record as HTML: its text with coloured, labelled spans, its relations and events in words.

Spans may nest, cross and have several parts. Everything of the record is escaped, and shown in the direction
of its script. A mark is `<mark class="entity k3" data-label="Person">`; `CSS` draws it, in light and dark.
"""

import heapq
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from kcx_jax.corpora.record import Argument, EventMention, Mention, Parts, Record, Span
from kcx_jax.page import escape

# Where something stands in its record: ("entities", 2), ("relations", 0), ("events", 1), ("events", 1, 0).
Ref = tuple[str | int, ...]

COLOURS = 10  # of entity types; more types share them

CSS = r"""
:root {
  --k0: #332288; --k1: #d07a00; --k2: #117733; --k3: #cc6677; --k4: #3a9bd1;
  --k5: #999933; --k6: #882255; --k7: #44aa99; --k8: #aa4499; --k9: #b79a3b;
  --none: #8a8a8a; --bad: #b3261e;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --k0: #8fa8ff; --k1: #f2a65a; --k2: #5fbf7f; --k3: #f08a9b; --k4: #77c4ee;
    --k5: #bbbb55; --k6: #d982b5; --k7: #5cd0bd; --k8: #d68ad6; --k9: #e0cd7e;
    --none: #9a9a9a; --bad: #ff8a80;
  }
}
.sentence { line-height: 2.05; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }
mark {
  --k: var(--none); color: inherit; padding: .13em .28em; margin-inline: .06em; border-radius: .3em;
  border-bottom: 2px solid var(--k); background: color-mix(in srgb, var(--k) 15%, transparent);
  -webkit-box-decoration-break: clone; box-decoration-break: clone;
  -webkit-print-color-adjust: exact; print-color-adjust: exact;
}
.k0 { --k: var(--k0) } .k1 { --k: var(--k1) } .k2 { --k: var(--k2) } .k3 { --k: var(--k3) }
.k4 { --k: var(--k4) } .k5 { --k: var(--k5) } .k6 { --k: var(--k6) } .k7 { --k: var(--k7) }
.k8 { --k: var(--k8) } .k9 { --k: var(--k9) }
mark.trigger { background: none; border: 1.5px solid currentColor; padding: .05em .28em }
mark.argument { border-bottom-style: dotted }
mark.head { border-start-end-radius: 0; border-end-end-radius: 0; margin-inline-end: 0 }
mark.tail { border-start-start-radius: 0; border-end-start-radius: 0; margin-inline-start: 0 }
mark[data-label]::after {
  content: "\2060" attr(data-label); margin-inline-start: .45em; font: 600 .66em/1 var(--sans, sans-serif);
  opacity: .78; overflow-wrap: anywhere; unicode-bidi: isolate;
}
mark.wrong { background: none; border: 1.5px dashed var(--bad) }
mark.wrong::after { content: "\2060✗ " attr(data-label); color: var(--bad); opacity: 1 }
mark.missed { background: none; border-bottom: 2px dotted var(--bad) }
mark.missed::after { content: "\2060∅ " attr(data-label); color: var(--bad); opacity: 1 }
.facts { list-style: none; margin: .2rem 0 0; padding: 0; display: grid; gap: .15rem }
.facts b { font-weight: 600 }
.facts i { font-style: normal; opacity: .7 }
.facts .wrong {
  color: var(--bad); text-decoration: underline dashed 1px; text-underline-offset: .25em;
}
.facts .wrong::before { content: "✗ " }
"""


def type_colours(types: Iterable[str]) -> dict[str, int]:
    """A colour (0 to `COLOURS` - 1) for each entity type, in the order given."""
    return {name: index % COLOURS for index, name in enumerate(dict.fromkeys(types))}


def direction(text: str) -> str:
    """ "rtl" or "ltr", whichever more letters of the text have, and "auto" where neither has more.

    A sentence in Arabic that begins with a Latin name still runs from the right.
    """
    classes = [unicodedata.bidirectional(character) for character in text]
    right, left = sum(name in ("R", "AL") for name in classes), classes.count("L")
    return "rtl" if right > left else "ltr" if left > right else "auto"


def highlight(
    record: Record,
    colours: Mapping[str, int],
    wrong: Collection[Ref] = (),
    missed: Iterable[tuple[str, Parts]] = (),
) -> str:
    """The record's text as a `<p>`: entities by type, triggers by event type, untyped arguments by role.

    `colours` is from `type_colours` (a type without one is grey). `wrong` has the places (`Ref`) of what is to
    be marked as wrong, `missed` labels and spans of what the record ought to have.
    """
    out: list[str] = []
    open_ends: list[int] = []
    position = 0

    def write_until(end: int) -> None:
        nonlocal position
        out.append(escape(record.text[position:end]))
        position = end

    absent = (_Mark(label, "missed", spans) for label, spans in missed)
    for piece in _nested([*_marks(record, colours, wrong), *absent]):
        while open_ends and open_ends[-1] <= piece.start:
            write_until(open_ends.pop())
            out.append("</mark>")
        write_until(piece.start)
        out.append(piece.tag)
        open_ends.append(piece.end)
    while open_ends:
        write_until(open_ends.pop())
        out.append("</mark>")
    write_until(len(record.text))
    opening = f'<p class="sentence" lang="{escape(record.language)}" dir="{direction(record.text)}">'
    return f"{opening}{''.join(out)}</p>"


def facts(record: Record, wrong: Collection[Ref] = ()) -> str:
    """Its relations, and its events with arguments, as a list; nothing where there are none."""
    mentions = {mention.id: mention for mention in record.entities or ()}
    rows = []
    for i, link in enumerate(record.relations or ()):
        head, tail = mentions[link.head].text, mentions[link.tail].text
        line = f"<b>{escape(link.type)}</b> {_surface(head)} → {_surface(tail)}"
        rows.append(_flagged(line, ("relations", i) in wrong))
    for i, event in enumerate(record.events or ()):
        if event.arguments:
            parts = [
                _flagged(_argument(argument, mentions), ("events", i, j) in wrong)
                for j, argument in enumerate(event.arguments)
            ]
            rows.append(f"<b>{escape(event.type)}</b> {_surface(event.trigger.text)}: {', '.join(parts)}")
    if not rows:
        return ""
    items = "".join(f"<li>{row}</li>" for row in rows)
    return f'<ul class="facts" lang="{escape(record.language)}">{items}</ul>'


def _surface(text: str) -> str:
    return f"<bdi>{escape(text)}</bdi>"


def _argument(argument: Argument, mentions: Mapping[str, Mention]) -> str:
    text = argument.text if argument.entity is None else mentions[argument.entity].text
    return f"<i>{escape(argument.role)}</i> {_surface(text or '')}"


def _flagged(line: str, wrong: bool) -> str:
    return f'<span class="wrong">{line}</span>' if wrong else line


@dataclass(frozen=True, slots=True)
class _Mark:
    label: str
    classes: str
    parts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, order=True)
class _Piece:
    """A stretch of a mark. Sorts by start, the longer one first, so that it is opened outside the shorter."""

    start: int
    minus_end: int
    order: int  # of its mark
    mark: _Mark
    first: bool
    last: bool

    @property
    def end(self) -> int:
        return -self.minus_end

    @property
    def tag(self) -> str:
        """The opening tag; the label stands at the end of the mark's last piece."""
        classes = self.mark.classes + (" tail" if not self.first else "") + (" head" if not self.last else "")
        label = f' data-label="{escape(self.mark.label)}"' if self.last else ""
        return f'<mark class="{classes}"{label}>'


def _marks(record: Record, colours: Mapping[str, int], wrong: Collection[Ref]) -> Iterator[_Mark]:
    def mark(item: Span | Mention, label: str, classes: str, ref: Ref | None = None) -> _Mark:
        bad = " wrong" if ref in wrong else ""
        return _Mark(label, classes + bad, item.spans or ((item.start, item.end),))

    for i, mention in enumerate(record.entities or ()):
        colour = f" k{colours[mention.type]}" if mention.type in colours else ""
        yield mark(mention, mention.type, f"entity{colour}", ("entities", i))
    for i, event in enumerate(record.events or ()):
        yield mark(event.trigger, event.type, "trigger", ("events", i))
        for span, role in _untyped(event, record.text):
            yield mark(span, role, "argument")


def _untyped(event: EventMention, text: str) -> Iterator[tuple[Span, str]]:
    for argument in event.arguments:
        if argument.entity is None:
            start, end = argument.span()
            yield Span(start, end, text[start:end], argument.spans), argument.role


def _nested(marks: Iterable[_Mark]) -> Iterator[_Piece]:
    """The marks cut into pieces that nest properly, in the order in which they open."""
    waiting = [
        _Piece(start, -end, order, mark, (start, end) == mark.parts[0], (start, end) == mark.parts[-1])
        for order, mark in enumerate(marks)
        for start, end in mark.parts
    ]
    heapq.heapify(waiting)
    ends: list[int] = []
    while waiting:
        piece = heapq.heappop(waiting)
        while ends and ends[-1] <= piece.start:
            ends.pop()
        if ends and piece.end > ends[-1]:  # crosses the end of the one it lies in: cut it there
            cut = ends[-1]
            rest = _Piece(cut, piece.minus_end, piece.order, piece.mark, False, piece.last)
            heapq.heappush(waiting, rest)
            piece = _Piece(piece.start, -cut, piece.order, piece.mark, piece.first, False)
        ends.append(piece.end)
        yield piece
