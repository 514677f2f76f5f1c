"""Corpora with one token a line and blank lines between sentences: sentences, tags, and records from both."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcx_jax.corpora.lines import read_lines
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Mention, Record
from kcx_jax.errors import KcxError

TEXT_COMMENT = "# text = "

NOT_TAGGED = "-"
"""What stands for a tag where nobody annotated the row."""

_TAG = re.compile(r"O|[BIELMUS]-.+")
_SOURCE_ID = re.compile(r"# (?:sent_id = |id )(\S+)")


@dataclass(frozen=True)
class Row:
    """One line of a sentence, with its number in the file."""

    line: int
    text: str


def read_blocks(path: Path) -> Iterator[list[Row]]:
    """Yield the lines between blank ones (a line of white space is blank), block by block."""
    block: list[Row] = []
    for number, line in read_lines(path):
        if line.strip():
            block.append(Row(number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def split_columns(line: str) -> list[str]:
    """The columns of a row: parted by tabs if it has any, else by single spaces; the token may be a space."""
    if "\t" in line:
        return line.split("\t")
    if line.startswith("  "):
        return [" ", *line[2:].rstrip(" ").split(" ")]
    return line.rstrip(" ").split(" ")


def is_tag(tag: str) -> bool:
    """Whether `tag` is "O" or a label behind a prefix of IOB, IOBES, BILUO or BMES."""
    return _TAG.fullmatch(tag) is not None


def tagged_spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The (start, end, label) of a tag sequence, in tokens, end exclusive; read leniently.

    O closes; B, U and S open; I, M, E and L continue an open span of the same label and otherwise open one;
    U, S, E and L are the last of theirs. That reads IOB1, IOB2, IOBES, BILUO and BMES alike.
    """
    spans: list[tuple[int, int, str]] = []
    open_label: str | None = None
    for i, tag in enumerate(tags):
        if tag == "O":
            open_label = None
            continue
        prefix, label = tag.split("-", 1)
        if prefix in "IMEL" and label == open_label:
            spans[-1] = (spans[-1][0], i + 1, label)
        else:
            spans.append((i, i + 1, label))
        open_label = None if prefix in "USEL" else label
    return spans


def join_tokens(tokens: Sequence[str], joiner: str) -> tuple[str, list[tuple[int, int]]]:
    """The tokens as one text, and where each stands in it."""
    offsets, position = [], 0
    for token in tokens:
        offsets.append((position, position + len(token)))
        position += len(token) + len(joiner)
    return joiner.join(tokens), offsets


def align_tokens(text: str, tokens: Sequence[str], places: Sequence[str]) -> list[tuple[int, int]]:
    """Where each token stands in the `text` as it was written; only white space may lie between two of them.

    Raises `KcxError` opening with the token's place (one a token) where a token does not follow.
    """
    offsets, position = [], 0
    for token, place in zip(tokens, places, strict=True):
        while position < len(text) and text[position].isspace() and not text.startswith(token, position):
            position += 1
        if not text.startswith(token, position):
            raise KcxError(
                f"{place}: the token {token!r} does not stand in the text at character {position}, "
                f"where {text[position : position + 20]!r} is"
            )
        offsets.append((position, position + len(token)))
        position += len(token)
    return offsets


def text_comment(comments: Sequence[Row], path: Path) -> str:
    """What the one line `# text = ...` of a sentence holds; `KcxError` where there is none, or several."""
    texts = [row.text.removeprefix(TEXT_COMMENT) for row in comments if row.text.startswith(TEXT_COMMENT)]
    if len(texts) != 1:
        line = comments[0].line if comments else 1
        raise KcxError(f"{path}:{line}: a sentence with {len(texts)} lines `# text = ...`, not one")
    return texts[0]


def source_id(comments: Sequence[Row]) -> str | None:
    """The corpus's own id of a sentence, from a comment `# sent_id = ID` or `# id ID`, if it has one."""
    found = [match[1] for row in comments if (match := _SOURCE_ID.match(row.text))]
    return found[0] if found else None


def tag_layers(
    cells: Sequence[Sequence[str]], rows: Sequence[Row], path: Path, columns: Sequence[int]
) -> list[list[str]]:
    """The tags in `columns` (counted from 1), one list a column; `KcxError` where a row has not so many."""
    for row, cell in zip(rows, cells, strict=True):
        if len(cell) < max(columns):
            raise KcxError(f"{path}:{row.line}: has no column {max(columns)}, only {len(cell)}")
    return [[cell[column - 1] for cell in cells] for column in columns]


@dataclass(frozen=True)
class Sentence:
    """A tagged sentence; `offsets`, `rows` and each of `layers` (tags) are parallel, one a token."""

    text: str
    offsets: Sequence[tuple[int, int]]
    rows: Sequence[Row]
    layers: Sequence[Sequence[str]]
    source_id: str | None = None


def tagged_record(path: Path, index: int, sentence: Sentence, options: Options) -> Record:
    """The record of the `index`-th sentence: the spans of all layers of tags, in the order of the text.

    A sentence with an empty token, or a row without an annotation, is set aside: its text stays, its entities are
    None (not annotated), `meta.set_aside` counts it and `meta.unplaced` has the rows. Raises `KcxError` naming
    file and line for a tag or label that cannot be read.
    """
    text, offsets, rows = sentence.text, sentence.offsets, sentence.rows
    if unplaced := _unplaced_rows(sentence):
        aside = dict.fromkeys(unplaced, 1)
        meta: dict[str, Any] = {"source": path.name, "set_aside": aside, "unplaced": unplaced}
        if sentence.source_id is not None:
            meta["source_id"] = sentence.source_id
        return Record(record_id(path, index), options.tag, text, meta=meta)
    mentions, labels = [], {}
    spans = sorted(
        (span for tags in sentence.layers for span in _layer_spans(path, rows, tags)), key=lambda s: s[:2]
    )
    for number, (first, last, label) in enumerate(spans):
        start, end = offsets[first][0], offsets[last - 1][1]
        name = options.labels(label, f"{path}:{rows[first].line}")
        mentions.append(Mention(f"e{number}", name, start, end, text[start:end]))
        labels[f"e{number}"] = label
    meta = {
        "source": path.name,
        "source_tokens": [list(span) for span in offsets],
        "source_labels": labels,
    }
    if sentence.source_id is not None:
        meta["source_id"] = sentence.source_id
    return Record(record_id(path, index), options.tag, text, entities=tuple(mentions), meta=meta)


def _unplaced_rows(sentence: Sentence) -> dict[str, list[dict[str, Any]]]:
    """The rows for which a sentence is set aside, by what is wrong with them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for i, (row, (start, end)) in enumerate(zip(sentence.rows, sentence.offsets, strict=True)):
        shown = {"line": row.line, "row": row.text}
        if start == end:
            found.setdefault("sentences with an empty token", []).append(shown)
        if any(tags[i] == NOT_TAGGED for tags in sentence.layers):
            found.setdefault("sentences with a row that is not tagged", []).append(shown)
    return found


def _layer_spans(path: Path, rows: Sequence[Row], tags: Sequence[str]) -> list[tuple[int, int, str]]:
    for row, tag in zip(rows, tags, strict=True):
        if not is_tag(tag):
            raise KcxError(
                f"{path}:{row.line}: {tag!r} is no tag (expected O, or a label behind B-, I-, ...)"
            )
    return tagged_spans(tags)


def record_id(path: Path, index: int) -> str:
    """The id of the `index`-th record of a corpus that has no ids of its own."""
    name = path.name.removesuffix(".gz")
    return f"{Path(name).stem}-{index}"
