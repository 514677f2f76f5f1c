"""`iob2`: Universal NER. `# text =` holds the sentence as written; rows are id, token, tag, ... by tabs.

Offsets are those of the original text: every token is found in it, in order. A cell may hold several layers of
tags, as the fourth column of the Danish files does (`outer#nested`): each layer is read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora.readers.columns import (
    Row,
    Sentence,
    align_tokens,
    read_blocks,
    source_id,
    tag_layers,
    tagged_record,
    text_comment,
)
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError


def read_iob2(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a Universal NER file; `KcxError` where text and tokens do not agree."""
    index = 0
    for block in read_blocks(path):
        comments = [row for row in block if row.text.startswith("# ")]
        rows = [row for row in block if not row.text.startswith("# ")]
        if not rows:
            continue
        text = text_comment(comments or rows, path)
        cells = [row.text.split("\t") for row in rows]
        for row, columns in zip(rows, cells, strict=True):
            if len(columns) < 3:
                raise KcxError(f"{path}:{row.line}: expected `id TAB token TAB tag ...`, got {row.text!r}")
        places = [f"{path}:{row.line}" for row in rows]
        offsets = align_tokens(text, [columns[1] for columns in cells], places)
        tagged = tag_layers(cells, rows, path, options.columns or (3,))
        layers = [layer for tags in tagged for layer in _split_layers(tags, rows, path)]
        yield tagged_record(path, index, Sentence(text, offsets, rows, layers, source_id(comments)), options)
        index += 1


def _split_layers(tags: Sequence[str], rows: Sequence[Row], path: Path) -> list[list[str]]:
    """The layers in one column, parted by "#" in each of its cells."""
    parts = [tag.split("#") for tag in tags]
    for row, tag, part in zip(rows, tags, parts, strict=True):
        if len(part) != len(parts[0]):
            raise KcxError(
                f"{path}:{row.line}: {tag!r} holds {len(part)} layers of tags, the row before {len(parts[0])}"
            )
    return [list(layer) for layer in zip(*parts, strict=True)]
