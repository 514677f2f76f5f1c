"""`weibo`: Weibo NER. Rows are `character + position TAB tag`; the text is the characters, nothing between them.

The position counts from 0 in each segmented word and is no part of the text. It has two digits from the eleventh
character of a word on, so a token is taken apart by the position that must come next, not by its last digit.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora.readers.columns import Sentence, join_tokens, read_blocks, tag_layers, tagged_record
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError

_REPLACEMENT = "\ufffd"  # what a damaged character became in these files, several for one


def read_weibo(path: Path, options: Options) -> Iterator[Record]:
    """The messages of a Weibo NER file; `KcxError` where a token does not end in its position."""
    for index, block in enumerate(read_blocks(path)):
        cells = [row.text.split("\t") for row in block]
        for row, columns in zip(block, cells, strict=True):
            if len(columns) != 2:
                raise KcxError(f"{path}:{row.line}: expected `token TAB tag`, got {row.text!r}")
        characters: list[str] = []
        for row, columns, character in zip(
            block, cells, split_positions([cell[0] for cell in cells]), strict=True
        ):
            if character is None:
                raise KcxError(
                    f"{path}:{row.line}: {columns[0]!r} is not one character and its position in the word"
                )
            characters.append(character)
        text, offsets = join_tokens(characters, options.joiner or "")
        layers = tag_layers(cells, block, path, (2,))
        yield tagged_record(path, index, Sentence(text, offsets, block, layers), options)


def split_positions(tokens: Sequence[str]) -> list[str | None]:
    """Each token without its position; None where it has none that may stand there.

    What remains is one character. Expected are the next position of the word and 0; another one is taken where
    it is a single digit (the released file skips one), as then only one reading leaves a character.
    """
    characters: list[str | None] = []
    position = -1
    for token in tokens:
        single = token[1:] if len(token) == 2 else ""
        for candidate in (str(position + 1), "0", single):
            character = token.removesuffix(candidate) if candidate.isascii() and candidate.isdecimal() else ""
            if character != token and (len(character) == 1 or set(character) == {_REPLACEMENT}):
                characters.append(character)
                position = int(candidate)
                break
        else:
            characters.append(None)
            position = -1
    return characters
