"""`iob2`: Universal NER. `# text =` holds the sentence as written; rows are id, token, tag, ... by tabs.

Offsets are those of the original text: every token is found in it, in order. A nested second layer of tags
(the fourth column) is not read.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.readers.columns import align_tokens, read_blocks, tagged_record
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError

TEXT_COMMENT = "# text = "


def read_iob2(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a Universal NER file; `KcxError` where text and tokens do not agree."""
    index = 0
    for block in read_blocks(path):
        rows = [row for row in block if not row.text.startswith("# ")]
        if not rows:
            continue
        texts = [row.text.removeprefix(TEXT_COMMENT) for row in block if row.text.startswith(TEXT_COMMENT)]
        if len(texts) != 1:
            raise KcxError(
                f"{path}:{block[0].line}: a sentence with {len(texts)} lines `# text = ...`, not one"
            )
        cells = [row.text.split("\t") for row in rows]
        for row, columns in zip(rows, cells, strict=True):
            if len(columns) < 3:
                raise KcxError(f"{path}:{row.line}: expected `id TAB token TAB tag ...`, got {row.text!r}")
        places = [f"{path}:{row.line}" for row in rows]
        offsets = align_tokens(texts[0], [columns[1] for columns in cells], places)
        yield tagged_record(path, index, texts[0], offsets, rows, [c[2] for c in cells], options)
        index += 1
