"""`conll`: token in the first column, tag in the last, columns parted by tabs or by spaces.

MasakhaNER, WNUT17, CrossNER, MultiCoNER and many more. The original spacing is not in these files: the text
is the tokens joined, by a space or, in languages written without spaces, by nothing.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.readers.columns import Row, is_tag, join_tokens, read_blocks, tagged_record
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError


def read_conll(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a column file; `KcxError` where a row has another number of columns than the first."""
    index, width = 0, 0
    for block in read_blocks(path):
        rows, cells = [], []
        for row in block:
            columns = split_columns(row.text)
            if is_apart(columns):
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
            yield _record(path, index, rows, cells, options)
            index += 1


def split_columns(line: str) -> list[str]:
    """The columns of a row: parted by tabs if it has any, else by single spaces."""
    return line.split("\t") if "\t" in line else line.rstrip(" ").split(" ")


def is_apart(columns: list[str]) -> bool:
    """Whether a row belongs to no sentence: a document's head, or a comment (a "#" that no tag follows)."""
    return columns[0] == "-DOCSTART-" or (columns[0].startswith("#") and not is_tag(columns[-1]))


def _record(path: Path, index: int, rows: list[Row], cells: list[list[str]], options: Options) -> Record:
    text, offsets = join_tokens([columns[0] for columns in cells], options.between_tokens)
    return tagged_record(path, index, text, offsets, rows, [columns[-1] for columns in cells], options)
