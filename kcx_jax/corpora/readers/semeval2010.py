"""`semeval2010`: SemEval-2010 task 8, and KBP37, which has its form: a sentence with a marked pair, then its label.

    12 TAB "The <e1>lid</e1> of the <e2>jar</e2> was loose."
    Component-Whole(e1,e2)
    Comment: ...

The marked spans are the entities `e1` and `e2`, of the class `Entity` (the corpus gives them no type). The first
argument of the label is the head. `Other` and `no_relation` are no relation. `meta.pair` always holds the pair in the
order of the marks, and the label as it stands. A sentence with marks that enclose nothing is set aside: its text stays,
not annotated, and `meta.unplaced` has it with its marks and its label. Sentences without a label line are not annotated
with relations. The text is what stands between the outer quotes, less the marks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kcx_jax.corpora.lines import read_lines
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import NO_RELATION, Draft
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError

SENTENCE = re.compile(r'(\d+)\t"(.*)"\s*')
_MARK = re.compile(r"<(/?)(e[12])>")
_LABEL = re.compile(r"(.+)\((e1,e2|e2,e1)\)")
_COMMENT = re.compile(r"Comment\s*:?(.*)")


@dataclass
class _Item:
    where: str
    number: str
    marked: str
    below: list[tuple[str, str]] = field(default_factory=list)  # (file:line, line) under the sentence


def read_semeval2010(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a SemEval-2010 task 8 file; `KcxError` naming the line that has not its form."""
    for index, item in enumerate(_items(path)):
        yield _record(item, path, index, options)


def _items(path: Path) -> Iterator[_Item]:
    item: _Item | None = None
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        opening = SENTENCE.fullmatch(line)
        if opening:
            if item:
                yield item
            item = _Item(where, opening[1], opening[2])
        elif line.strip():
            if item is None or len(item.below) == 2:
                raise KcxError(f'{where}: expected `number TAB "sentence"`, got {line[:60]!r}')
            item.below.append((where, line.strip()))
    if item:
        yield item


def _record(item: _Item, path: Path, index: int, options: Options) -> Record:
    text, spans = _unmarked(item)
    draft = Draft(path, item.where, text, options)
    if any(start == end for start, end in spans.values()):
        draft.set_aside("pairs whose marks enclose nothing", [item.marked, *(line for _, line in item.below)])
        return draft.record(record_id(path, index), entities=False, relations=False, source_id=item.number)
    for name, (start, end) in spans.items():
        draft.mention(draft.char_span(start, end, name), None, name, name)
    meta: dict[str, Any] = {"source_id": item.number, "pair": {"mentions": ["e1", "e2"]}}
    if not item.below:
        return draft.record(record_id(path, index), relations=False, **meta)
    draft.where, label = item.below[0]
    meta["pair"]["label"] = label
    directed = _LABEL.fullmatch(label)
    if directed:
        head, tail = directed[2].split(",")
        draft.link(directed[1], head, tail, "label", label)
    elif label not in NO_RELATION:
        raise KcxError(f"{draft.where}: {label[:60]!r} is no label such as Relation(e1,e2) or Other")
    for where, line in item.below[1:]:
        comment = _COMMENT.fullmatch(line)
        if not comment:
            raise KcxError(f"{where}: expected a line `Comment: ...`, got {line[:60]!r}")
        if comment[1].strip():
            meta["comment"] = comment[1].strip()
    return draft.record(record_id(path, index), **meta)


def _unmarked(item: _Item) -> tuple[str, dict[str, tuple[int, int]]]:
    """The sentence without its marks, and what each pair of marks encloses, less spaces at the rims."""
    pieces: list[str] = []
    length = position = 0
    opened: dict[str, int] = {}
    spans: dict[str, tuple[int, int]] = {}
    for mark in _MARK.finditer(item.marked):
        piece = item.marked[position : mark.start()]
        pieces.append(piece)
        length, position = length + len(piece), mark.end()
        closing, name = mark.groups()
        if (name in opened) != bool(closing) or name in spans:
            raise KcxError(
                f"{item.where}: {mark[0]} stands out of order; <e1>..</e1> and <e2>..</e2> once each"
            )
        if closing:
            spans[name] = (opened[name], length)
        else:
            opened[name] = length
    if len(spans) != 2:
        raise KcxError(f"{item.where}: needs <e1>..</e1> and <e2>..</e2> once each")
    text = "".join([*pieces, item.marked[position:]])
    return text, {name: _trimmed(text, *spans[name]) for name in ("e1", "e2")}


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    surface = text[start:end].rstrip()
    return start + len(surface) - len(surface.lstrip()), start + len(surface)
