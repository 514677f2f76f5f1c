"""Corpora with one token a line and blank lines between sentences: sentences, tags, and records from both."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kcx_jax.corpora.lines import read_lines
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Mention, Record
from kcx_jax.errors import KcxError

_TAG = re.compile(r"O|[BIELMUS]-.+")


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


def tagged_record(
    path: Path,
    index: int,
    text: str,
    offsets: Sequence[tuple[int, int]],
    rows: Sequence[Row],
    tags: Sequence[str],
    options: Options,
) -> Record:
    """The record of one tagged sentence; `offsets`, `rows` and `tags` are parallel, one a token.

    Raises `KcxError` naming file and line for a tag or label that cannot be read.
    """
    for row, tag in zip(rows, tags, strict=True):
        if not is_tag(tag):
            raise KcxError(
                f"{path}:{row.line}: {tag!r} is no tag (expected O, or a label behind B-, I-, ...)"
            )
    mentions, labels = [], {}
    for number, (first, last, label) in enumerate(tagged_spans(tags)):
        start, end = offsets[first][0], offsets[last - 1][1]
        name = options.labels(label, f"{path}:{rows[first].line}")
        mentions.append(Mention(f"e{number}", name, start, end, text[start:end]))
        labels[f"e{number}"] = label
    return Record(
        record_id(path, index),
        options.tag,
        text,
        entities=tuple(mentions),
        meta={
            "source": path.name,
            "source_tokens": [list(span) for span in offsets],
            "source_labels": labels,
        },
    )


def record_id(path: Path, index: int) -> str:
    """The id of the `index`-th record of a corpus that has no ids of its own."""
    name = path.name.removesuffix(".gz")
    return f"{Path(name).stem}-{index}"
