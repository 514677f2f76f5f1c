"""`conll`: token in the first column, tags in others, the last by default; parted by tabs or by spaces.

MasakhaNER, WNUT17, CrossNER, HiNER, NCBI and many more. The original spacing is not in these files: the text
is the tokens joined, by a space or, in languages written without spaces, by nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora.readers.columns import (
    Row,
    Sentence,
    is_tag,
    join_tokens,
    read_blocks,
    source_id,
    split_columns,
    tag_layers,
    tagged_record,
)
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError


def read_conll(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a column file; `KcxError` where a row has another number of columns than the first."""
    index, width = 0, 0
    for block in read_blocks(path):
        comments: list[Row] = []
        rows: list[Row] = []
        cells = []
        tabbed = is_tabbed([row.text for row in block])
        for row in block:
            columns = split_columns(row.text)
            if is_apart(row.text, tabbed, options.columns):
                comments.append(row)
                continue
            width = width or len(columns)
            if len(columns) != width or width < 2:
                raise KcxError(
                    f"{path}:{row.line}: {len(columns)} columns where {max(width, 2)} were expected "
                    "(token first, tag last, parted by tabs or by single spaces)"
                )
            rows.append(row)
            cells.append(columns)
        if rows:
            text, offsets = join_tokens([columns[0] for columns in cells], options.between_tokens)
            layers = tag_layers(cells, rows, path, options.columns or (width,))
            yield tagged_record(
                path, index, Sentence(text, offsets, rows, layers, source_id(comments)), options
            )
            index += 1


def is_tabbed(lines: Sequence[str]) -> bool:
    """Whether the rows among `lines` are parted by tabs; comments, which may hold tabs too, do not say."""
    return any("\t" in line and not line.startswith("#") for line in lines)


def is_apart(line: str, tabbed: bool, tag_columns: Sequence[int] = ()) -> bool:
    """Whether a line belongs to no sentence: a document's head, or a comment.

    A comment opens with "#". Where rows are parted by tabs it has none; elsewhere it has no tag where they do.
    """
    columns = split_columns(line)
    if not line.startswith("#"):
        return columns[0] == "-DOCSTART-"
    if tabbed:
        return "\t" not in line
    places = tag_columns or (len(columns),)
    return not all(place <= len(columns) and is_tag(columns[place - 1]) for place in places)
