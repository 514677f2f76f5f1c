"""`multiconer`: MultiCoNER (2022). Sentences headed `# id ...`; rows are `token _ _ tag`, parted by spaces.

The original spacing is not in these files: the text is the tokens joined. Zero-width characters stay where they are.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.readers.columns import (
    Sentence,
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

HEAD = "# id "


def read_multiconer(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a MultiCoNER file; `KcxError` where a head is missing or a row has other columns."""
    for index, (head, *rows) in enumerate(read_blocks(path)):
        if not head.text.startswith(HEAD) or not rows:
            raise KcxError(f"{path}:{head.line}: expected a line `{HEAD}...` and the rows of its sentence")
        cells = [split_columns(row.text) for row in rows]
        for row, columns in zip(rows, cells, strict=True):
            if len(columns) != 4 or columns[1:3] != ["_", "_"]:
                raise KcxError(f"{path}:{row.line}: expected `token _ _ tag`, got {row.text!r}")
        text, offsets = join_tokens([columns[0] for columns in cells], options.between_tokens)
        layers = tag_layers(cells, rows, path, (4,))
        yield tagged_record(path, index, Sentence(text, offsets, rows, layers, source_id([head])), options)
