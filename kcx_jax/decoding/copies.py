"""How answers copy a sentence: what its tokens go on with, where its words begin and how they look.

All of it is for drafts (`drafts`), which may be wrong: words stand here as numbers that different ones may share.

Shapes: P = positions of a sentence, T = edges of its `Spans`, U = distinct tokens of these, B = rows.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.constraint import as_rows
from kcx_jax.decoding.spans import NOWHERE, Spans, escaped
from kcx_jax.decoding.vocabulary import Vocabulary

_RUN = re.compile(r"\w+")
_WORD = re.compile(r"[^\W\0-\u33ff]|[^\W\u3400-\U0010ffff]+")  # a character of East Asia, or a word
_NEXT = re.compile(r" *([\u3400-\uffff]|\w+|\S)")  # either, or a sign
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Burmese, Khmer

WORDS = 2048
"""Words have numbers below this one, those with a capital below twice as much."""
KINDS_OF_A_GROUP = 256
GROUPS = 4
"""What may come next is of one of so many groups: an end, a number or a capital; another word; a sign; a character of
East Asia. Each has so many kinds."""


@dataclass(frozen=True)
class Copies:
    """How a sentence is copied; int32.

    `unique_U` are its tokens, `which_T` says which of them an edge of `Spans` has. From position p the tokenizer would
    go on with `next_P`; where a word ends there, `kind_P` is the kind of what comes next; the word that begins there is
    `word_P`, and the last one of the words with capitals that begin there, one behind another, is `last_P`. `NOWHERE`
    where nothing does.
    """

    unique_U: np.ndarray
    which_T: np.ndarray
    next_P: np.ndarray
    kind_P: np.ndarray
    word_P: np.ndarray
    last_P: np.ndarray


class Copying(NamedTuple):
    """The `Copies` of each row, filled up to one size."""

    unique_BU: jax.Array
    which_BT: jax.Array
    next_BP: jax.Array
    kind_BP: jax.Array
    word_BP: jax.Array
    last_BP: jax.Array


def find_copies(sentence: str, spans: Spans, vocabulary: Vocabulary) -> Copies:
    """How this sentence is copied; `spans` are its own."""
    characters, starts = escaped(sentence)
    next_P, kind_P, word_P, last_P = (np.full(starts[-1] + 1, NOWHERE, np.int32) for _ in range(4))
    next_P[spans.from_E] = spans.token_E  # the longest, where nothing below says otherwise
    for run in _RUN.finditer(sentence):
        _follow("".join(characters[run.start() : run.end()]), starts[run.start()], vocabulary, next_P)
    _follow("".join(characters), 0, vocabulary, next_P)
    behind = [*sentence[1:], " "]
    for place, (start, character, following) in enumerate(zip(starts[1:], sentence, behind, strict=False), 1):
        if not following.isalnum() or _unspaced(character) or _unspaced(following):
            kind_P[start] = _kind(sentence, place)
    last, begins = NOWHERE, len(sentence) + 1  # of the words behind
    for word in reversed(list(_WORD.finditer(sentence))):
        number = _hashed(word[0], WORDS) + WORDS * word[0][0].isupper()
        if number < WORDS or last < WORDS or sentence[word.end() : begins].strip(" "):
            if _is_first(sentence, word.start()) and word[0][1:].islower():
                number %= WORDS  # its capital says nothing
            last = number
        begins = word.start()
        word_P[starts[begins]], last_P[starts[begins]] = number, last
    unique_U, which_T = np.unique(spans.token_E, return_inverse=True)
    return Copies(unique_U.astype(np.int32), which_T.astype(np.int32), next_P, kind_P, word_P, last_P)


def no_copies(positions: int) -> Copies:
    """What stands for a sentence of which nothing is copied."""
    none = np.zeros(0, np.int32)
    nowhere = np.full(positions, NOWHERE, np.int32)
    return Copies(none, none, nowhere, nowhere, nowhere, nowhere)


def unique_size(copies: Sequence[Copies], positions: int) -> int:
    """How many distinct tokens the `Copying` of these has room for: as a rule, two for each position."""
    return bucket(max(each.unique_U.size for each in copies), 2 * positions)


def copying(copies: Sequence[Copies], unique: int, positions: int, edges: int) -> Copying:
    """The copies of several sentences as rows of numpy, with room for so many distinct tokens, positions and edges."""
    sizes, values = (unique, edges, *[positions] * 4), (NOWHERE, 0, *[NOWHERE] * 4)
    return Copying(*as_rows(copies, sizes, values))


def _is_first(sentence: str, place: int) -> bool:
    """Whether a sentence begins here."""
    return place == 0 or sentence[max(0, place - 2) : place] in (". ", "! ", "? ", " ")


def _hashed(text: str, size: int) -> int:
    return zlib.crc32(text.encode()) % size


def _kind(sentence: str, place: int) -> int:
    """What comes next in the sentence, by its group and its letters."""
    following = _NEXT.match(sentence, place)
    if not following:
        return 0
    first = following[1][0]
    if first.isdigit():
        return 1
    if first.isupper():
        return 2
    group = 3 if first >= "\u3400" else 1 if first.isalpha() else 2
    return group * KINDS_OF_A_GROUP + _hashed(following[0], KINDS_OF_A_GROUP)


def _follow(text: str, start: int, vocabulary: Vocabulary, next_P: np.ndarray) -> None:
    """Note the tokens of a text that stands at `start`, as they are behind a quote."""
    place = start - 1
    for token in vocabulary.tokenizer.encode(f'"{text}'):
        length = len(vocabulary.bytes[token] or b"")
        if place >= start:
            next_P[place] = token
        place += length


def _unspaced(character: str) -> bool:
    """Whether words of its script have no spaces between them."""
    return unicodedata.east_asian_width(character) in "WF" or _UNSPACED.match(character) is not None
