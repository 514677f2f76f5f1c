"""`conllu`: CoNLL-U, the tag in MISC behind `NER=`, `NE=` or `name=`.

The text is `# text =` where a sentence has it; otherwise tokens and `SpaceAfter=No` make it. A multi-word token
(`3-4`) stands in the text once; its words have places of their own where they spell it, else each has the whole
token's, and an entity must then begin and end with the token. Empty nodes (`3.1`) stand nowhere and are passed over.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kcx_jax.corpora.readers.columns import (
    TEXT_COMMENT,
    Row,
    Sentence,
    align_tokens,
    read_blocks,
    source_id,
    tagged_record,
    tagged_spans,
    text_comment,
)
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError

_TAG_IN_MISC = re.compile(r"(?:^|\|)(?:NER|NE|name)=([^|]*)")
_ID = re.compile(r"([1-9]\d{0,8})(?:([-.])(\d{1,9}))?", re.ASCII)
_COLUMNS = 10


@dataclass(frozen=True)
class _Token:
    """What stands in the text: a word, or a multi-word token over `words[first:end]`."""

    row: Row
    form: str
    space_after: bool
    first: int
    end: int


@dataclass(frozen=True)
class _Word:
    row: Row
    form: str
    tag: str | None


def read_conllu(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a CoNLL-U file; `KcxError` for damaged rows, and for a file without a single tag."""
    index, tagged = 0, False
    for block in read_blocks(path):
        comments = [row for row in block if row.text.startswith("#")]
        rows = [row for row in block if not row.text.startswith("#")]
        if not rows:
            continue
        tokens, words = _parse(rows, path)
        text, places = _place(tokens, comments, path)
        offsets = [
            place for token, span in zip(tokens, places, strict=True) for place in _inside(token, span, words)
        ]
        tagged = tagged or any(word.tag is not None for word in words)
        layer = ["O" if word.tag is None else word.tag for word in words]
        sentence = Sentence(text, offsets, [word.row for word in words], [layer], source_id(comments))
        record = tagged_record(path, index, sentence, options)
        if record.entities is not None:
            _check_whole(tokens, words, layer, offsets, path)
        yield record
        index += 1
    if not tagged:
        raise KcxError(f"{path}: no row has a tag in MISC (NER=..., NE=... or name=...)")


def misc_tag(columns: Sequence[str]) -> str | None:
    """The tag in the MISC column of a CoNLL-U row; None for another row, or one without a tag."""
    if len(columns) != _COLUMNS or not _ID.fullmatch(columns[0]):
        return None
    match = _TAG_IN_MISC.search(columns[9])
    return match[1] if match else None


def _parse(rows: Sequence[Row], path: Path) -> tuple[list[_Token], list[_Word]]:
    """The tokens of the text and the words of the syntax, in order."""
    tokens: list[_Token] = []
    words: list[_Word] = []
    for row in rows:
        columns = row.text.split("\t")
        match = _ID.fullmatch(columns[0])
        if len(columns) != _COLUMNS or match is None:
            raise KcxError(
                f"{path}:{row.line}: expected ten columns of CoNLL-U parted by tabs, got {row.text!r}"
            )
        first, mark, last = match.groups()
        if mark == ".":
            continue
        if int(first) != len(words) + 1 or (mark and int(last) <= int(first)):
            raise KcxError(
                f"{path}:{row.line}: the id {columns[0]} does not follow; {len(words) + 1} is next"
            )
        tags = _TAG_IN_MISC.findall(columns[9])
        if len(tags) > 1 or (mark and tags):
            raise KcxError(
                f"{path}:{row.line}: MISC {columns[9]!r}: one tag a word, none on a multi-word token"
            )
        spaced = "SpaceAfter=No" not in columns[9].split("|")
        within = bool(tokens) and len(words) < tokens[-1].end
        if mark and within:
            raise KcxError(
                f"{path}:{row.line}: the token {columns[0]} begins inside the multi-word token before"
            )
        if mark or not within:
            end = int(last) if mark else len(words) + 1
            tokens.append(_Token(row, columns[1], spaced, len(words), end))
        if not mark:
            words.append(_Word(row, columns[1], tags[0] if tags else None))
    if tokens and tokens[-1].end != len(words):
        raise KcxError(f"{path}:{tokens[-1].row.line}: the words of the multi-word token end at {len(words)}")
    return tokens, words


def _place(
    tokens: Sequence[_Token], comments: Sequence[Row], path: Path
) -> tuple[str, list[tuple[int, int]]]:
    """The text of a sentence and where each token stands in it."""
    if any(row.text.startswith(TEXT_COMMENT) for row in comments):
        text = text_comment(comments, path)
        places_in_file = [f"{path}:{token.row.line}" for token in tokens]
        return text, align_tokens(text, [token.form for token in tokens], places_in_file)
    text, places = "", []
    for token in tokens:
        places.append((len(text), len(text) + len(token.form)))
        text += token.form + (" " if token.space_after else "")
    return text.rstrip(" "), places


def _inside(token: _Token, place: tuple[int, int], words: Sequence[_Word]) -> Iterator[tuple[int, int]]:
    """Where the words of a token stand: one after another if they spell it, else each where the token does."""
    forms = [word.form for word in words[token.first : token.end]]
    start, end = place
    for form in forms:
        if "".join(forms) == token.form:
            end = start + len(form)
            yield start, end
            start = end
        else:
            yield place


def _check_whole(
    tokens: Sequence[_Token],
    words: Sequence[_Word],
    layer: Sequence[str],
    offsets: Sequence[tuple[int, int]],
    path: Path,
) -> None:
    """Refuse an entity whose border falls between words that share the place of their token."""
    borders = {border for first, last, _ in tagged_spans(layer) for border in (first, last)}
    for token in tokens:
        shared = offsets[token.first : token.end]
        for border in range(token.first + 1, token.end):
            if border in borders and shared[0] == shared[-1]:
                forms = [word.form for word in words[token.first : token.end]]
                raise KcxError(
                    f"{path}:{words[border].row.line}: an entity begins or ends inside the multi-word token "
                    f"{token.form!r}, which its words {forms} do not spell; tag the whole token or none of it"
                )
