"""`inline`: texts with their labels in them, one a line, in one of three spellings.

    <PER>Ada</PER> left <LOC>Rome</LOC>.          tags, also inside one another
    [Ada](PER) left [Rome](LOC).
    {{person_name:Ada}} left {{location:Rome}}.   BosonNLP

Each line is one record; a blank one is passed over. What opens and does not close, or closes and has not opened, is an
error with its line: a sign that another spelling, or none, was meant. Nothing is unescaped.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora.lines import read_lines
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError

_LABEL = r"[^\W\d][\w.:-]*+"
_TAG = re.compile(rf"<(?P<close>/?)(?P<label>{_LABEL})>")
_LINK = re.compile(rf"\[(?P<text>[^\[\]]++)\]\((?P<label>{_LABEL})\)")
_BRACES = re.compile(r"\{\{(?P<label>[^\W\d][\w.-]*+):(?P<text>[^{}]++)\}\}")

Found = tuple[str, list[tuple[int, int, str]]]


def read_inline(path: Path, options: Options) -> Iterator[Record]:
    """The lines of a file; `KcxError` naming the line where labels do not close."""
    lines = [(number, line) for number, line in read_lines(path) if line.strip()]
    read = _spelling([line for _, line in lines]) or _tags
    for index, (number, line) in enumerate(lines):
        where = f"{path}:{number}"
        text, spans = read(line, where)
        draft = Draft(path, where, text, options)
        for start, end, label in sorted(spans):
            draft.mention(draft.char_span(start, end, "label"), label, "label")
        yield draft.record(record_id(path, index), relations=False)


def is_inline(lines: Sequence[str]) -> bool:
    """Whether labels stand in these lines, and close."""
    read = _spelling(lines)
    try:
        return read is not None and any(read(line, "")[1] for line in lines)
    except KcxError:
        return False


def _spelling(lines: Sequence[str]) -> Callable[[str, str], Found] | None:
    """How the lines' labels are written, by the first that has one."""
    for line in lines:
        if any(match["close"] for match in _TAG.finditer(line)):
            return _tags
        if _BRACES.search(line):
            return lambda text, where: _flat(_BRACES, text)
        if _LINK.search(line):
            return lambda text, where: _flat(_LINK, text)
    return None


def _tags(line: str, where: str) -> Found:
    parts: list[str] = []
    opened: list[tuple[int, str]] = []
    spans: list[tuple[int, int, str]] = []
    position = last = 0
    for tag in _TAG.finditer(line):
        parts.append(line[last : tag.start()])
        position, last = position + len(parts[-1]), tag.end()
        if not tag["close"]:
            opened.append((position, tag["label"]))
            continue
        if not opened or opened[-1][1] != tag["label"]:
            wanted = f"after <{opened[-1][1]}>" if opened else "that was not opened"
            raise KcxError(f"{where}: {tag.group()} {wanted}")
        start, label = opened.pop()
        if start == position:
            raise KcxError(f"{where}: nothing stands between <{label}> and </{label}>")
        spans.append((start, position, label))
    if opened:
        raise KcxError(f"{where}: <{opened[-1][1]}> is not closed")
    return "".join([*parts, line[last:]]), spans


def _flat(pattern: re.Pattern[str], line: str) -> Found:
    parts: list[str] = []
    spans: list[tuple[int, int, str]] = []
    position = last = 0
    for match in pattern.finditer(line):
        before = line[last : match.start()]
        start = position + len(before)
        parts += [before, match["text"]]
        position, last = start + len(match["text"]), match.end()
        spans.append((start, position, match["label"]))
    return "".join([*parts, line[last:]]), spans
