"""`wikineural`: index, token and tags parted by tabs, the index counting from 0 or 1 in every sentence.

WikiNeural has one column of tags; GermEval 2014 counts from 1, heads its sentences with a comment and has two, one
a layer. The original spacing is not in these files: the text is the tokens joined.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.readers.columns import (
    Sentence,
    join_tokens,
    read_blocks,
    source_id,
    tag_layers,
    tagged_record,
)
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError


def read_wikineural(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of an indexed file; `KcxError` where an index does not follow the one before."""
    number = 0
    for block in read_blocks(path):
        comments = [row for row in block if row.text.startswith("#")]
        rows = [row for row in block if not row.text.startswith("#")]
        if not rows:
            continue
        cells = [row.text.split("\t") for row in rows]
        first = 1 if cells[0][0] == "1" else 0
        for expected, (row, columns) in enumerate(zip(rows, cells, strict=True), first):
            if len(columns) < 3 or columns[0] != str(expected):
                raise KcxError(
                    f"{path}:{row.line}: expected `{expected} TAB token TAB tag`, got {row.text!r}"
                )
        text, offsets = join_tokens([columns[1] for columns in cells], options.between_tokens)
        layers = tag_layers(cells, rows, path, options.columns or (3,))
        yield tagged_record(path, number, Sentence(text, offsets, rows, layers, source_id(comments)), options)
        number += 1
