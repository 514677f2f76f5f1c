"""`wikineural`: index, token and tag parted by tabs, the index counting from 0 in every sentence.

The original spacing is not in these files: the text is the tokens joined.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.readers.columns import join_tokens, read_blocks, tagged_record
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError


def read_wikineural(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a WikiNeural file; `KcxError` where an index does not follow the one before."""
    for number, block in enumerate(read_blocks(path)):
        cells = [row.text.split("\t") for row in block]
        for expected, (row, columns) in enumerate(zip(block, cells, strict=True)):
            if len(columns) != 3 or columns[0] != str(expected):
                raise KcxError(
                    f"{path}:{row.line}: expected `{expected} TAB token TAB tag`, got {row.text!r}"
                )
        text, offsets = join_tokens([columns[1] for columns in cells], options.between_tokens)
        yield tagged_record(path, number, text, offsets, block, [columns[2] for columns in cells], options)
