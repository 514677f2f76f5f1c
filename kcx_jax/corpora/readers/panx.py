"""`panx`: WikiANN / PAN-X. Rows are `language:token TAB tag`; the file says its language itself.

The original spacing is not in these files: the text is the tokens joined, as the language is written.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kcx_jax.corpora.readers.columns import Sentence, join_tokens, read_blocks, tag_layers, tagged_record
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError

# A language as Wikipedia names it ("zh", "zh-min-nan", "be-x-old", "simple"), then the token, which may hold ":".
PREFIXED = re.compile(r"(simple|[a-z]{2,3}(?:-[a-z]+)*):(.+)", re.DOTALL)


def read_panx(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a PAN-X file; `KcxError` where a row has no language, or another than the first row."""
    language: str | None = None
    for index, block in enumerate(read_blocks(path)):
        cells = [row.text.split("\t") for row in block]
        tokens = []
        for row, columns in zip(block, cells, strict=True):
            match = PREFIXED.fullmatch(columns[0])
            if len(columns) != 2 or match is None:
                raise KcxError(f"{path}:{row.line}: expected `language:token TAB tag`, got {row.text!r}")
            language = language or match[1]
            if match[1] != language:
                raise KcxError(
                    f"{path}:{row.line}: the language {match[1]!r}, where the rows before say {language!r}"
                )
            tokens.append(match[2])
        spoken = replace(options, language=language)
        text, offsets = join_tokens(tokens, spoken.between_tokens)
        layers = tag_layers(cells, block, path, (2,))
        yield tagged_record(path, index, Sentence(text, offsets, block, layers), spoken)
