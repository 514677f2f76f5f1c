"""Drafts: the tokens that a row will probably write next, so that several are verified in one step of the model.

Where the automaton leaves one token, that. A text begins at the next word that looks like a name, behind the text
before, and goes on as the sentence does; where a word ends it ends too if texts did so more often before such a word as
comes next. At other choices, what the row took at this node before, or else what answers took there most often, with or
without a name to come. A draft changes how fast an answer is written, and nothing else: it stays if it is the token
that would have been chosen. Few rows follow several lines of drafts, which turn off the first at one choice each.

Shapes: B rows, N nodes, E edges of the automaton, K most edges of a node, P positions of a sentence, T its edges,
U distinct tokens of these.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.constraint import (
    Place,
    Sentences,
    Structure,
    Ways,
    advanced,
    as_rows,
    open_ways,
    picked,
)
from kcx_jax.decoding.spans import NOWHERE, Spans, escaped
from kcx_jax.decoding.vocabulary import Vocabulary

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Burmese, Khmer
_NEXT = re.compile(r" *([\u3400-\uffff]|\w+|\S)")  # a character of East Asia, a word or a sign


@dataclass(frozen=True)
class Copies:
    """How a sentence is copied; int32.

    `unique_U` are its tokens, `which_E` says which of them an edge of `Spans` has. From position p the tokenizer would
    go on with `next_P`; where a word ends there, `kind_P` is the kind of what comes next (0 to `KINDS`); the next word
    that looks like a name begins at `name_P`, at p or behind it. `NOWHERE` where nothing does.
    """

    unique_U: np.ndarray
    which_E: np.ndarray
    next_P: np.ndarray
    kind_P: np.ndarray
    name_P: np.ndarray


class Copying(NamedTuple):
    """The `Copies` of each row, filled up to one size."""

    unique_BU: jax.Array
    which_BT: jax.Array
    next_BP: jax.Array
    kind_BP: jax.Array
    name_BP: jax.Array


class Tally(NamedTuple):
    """What answers did so far, int32: how often they took each edge, with no name to come in the sentence [0] and with
    one [1]; and, where a word ended, how often a text went on and how often it ended, by the kind of what came next.
    """

    taken_2E: jax.Array
    copied_F: jax.Array
    closed_F: jax.Array


class Line(NamedTuple):
    """A row's drafts one after another, with a leading axis W: the place before each token, where in the sentence the
    text before ended, the ways from there, and the token, -1 where nothing is drafted.
    """

    place: Place
    behind_WB: jax.Array
    ways: Ways
    token_WB: jax.Array


def find_copies(sentence: str, spans: Spans, vocabulary: Vocabulary) -> Copies:
    """How this sentence is copied; `spans` are its own."""
    characters, starts = escaped(sentence)
    next_P, kind_P, name_P = (np.full(starts[-1] + 1, NOWHERE, np.int32) for _ in range(3))
    next_P[spans.from_E] = spans.token_E  # the longest, where nothing below says otherwise
    for word in _WORD.finditer(sentence):
        start = starts[word.start()]
        _follow("".join(characters[word.start() : word.end()]), start, vocabulary, next_P)
        if word[0][0].isupper():
            name_P[start] = start
    _follow("".join(characters), 0, vocabulary, next_P)
    behind = [*sentence[1:], " "]
    for place, (start, character, following) in enumerate(zip(starts[1:], sentence, behind, strict=False), 1):
        if not following.isalnum() or _unspaced(character) or _unspaced(following):
            kind_P[start] = _kind(sentence, place)
    for place in range(starts[-1] - 1, -1, -1):
        if name_P[place] == NOWHERE:
            name_P[place] = name_P[place + 1]
    unique_U, which_E = np.unique(spans.token_E, return_inverse=True)
    return Copies(unique_U.astype(np.int32), which_E.astype(np.int32), next_P, kind_P, name_P)


KINDS = 128


def _kind(sentence: str, place: int) -> int:
    """What comes next in the sentence: nothing, a number, a capital; or one of the other kinds, by its letters."""
    following = _NEXT.match(sentence, place)
    if not following:
        return 0
    first = following[1][0]
    if first.isdigit():
        return 1
    if first.isupper():
        return 2
    return 3 + zlib.crc32(following[0].encode()) % (KINDS - 3)


def no_copies(positions: int) -> Copies:
    """What stands for a sentence of which nothing is copied."""
    none = np.zeros(0, np.int32)
    nowhere = np.full(positions, NOWHERE, np.int32)
    return Copies(none, none, nowhere, nowhere, nowhere)


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


def empty_tally(structure: Structure) -> Tally:
    """The tally before any answer."""
    return Tally(
        jnp.zeros((2, structure.token_E.size), jnp.int32),
        jnp.zeros(KINDS, jnp.int32),
        jnp.zeros(KINDS, jnp.int32),
    )


def unique_size(copies: Sequence[Copies], positions: int) -> int:
    """How many distinct tokens the `Copying` of these has room for: as a rule, two for each position."""
    return bucket(max(each.unique_U.size for each in copies), 2 * positions)


def copying(copies: Sequence[Copies], unique: int, positions: int, edges: int) -> Copying:
    """The copies of several sentences as rows of numpy, with room for so many distinct tokens, positions and edges."""
    sizes, values = (unique, edges, positions, positions, positions), (NOWHERE, 0, NOWHERE, NOWHERE, NOWHERE)
    return Copying(*as_rows(copies, sizes, values))


def candidates(ways: Ways, copying: Copying) -> tuple[jax.Array, jax.Array]:
    """The tokens that may be open to each row [B, K + U], and which of them are."""
    row_B1 = jnp.arange(len(ways.open_BT))[:, None]
    open_BU = jnp.zeros(copying.unique_BU.shape, bool).at[row_B1, copying.which_BT].max(ways.open_BT)
    tokens = jnp.concatenate([ways.token_BK, copying.unique_BU], axis=1)
    return tokens, jnp.concatenate([ways.open_BK, open_BU], axis=1)


def make_line(
    structure: Structure,
    sentences: Sentences,
    copying: Copying,
    tally: Tally,
    place: Place,
    behind_B: jax.Array,
    recent_BN: jax.Array,
    turn_B: jax.Array,
    width: int,
) -> Line:
    """The next `width` places of each row, if it takes the drafts; the last token is drafted for nothing.

    `recent_BN`: what the row last wrote at each node. `turn_B`: at which of the choices that have a second draft, from
    1 on, the row takes that one; 0 for none.
    """

    def go_on(before: tuple[Place, jax.Array, jax.Array], _: None) -> tuple[Any, Line]:
        place, behind_B, turn_B = before
        ways = open_ways(structure, sentences, place)
        recent_B = picked(recent_BN, place.node_B)
        first_B, second_B = _draft(structure, copying, tally, place, behind_B, ways, recent_B)
        token_B = jnp.where((turn_B == 1) & (second_B >= 0), second_B, first_B)
        after = advanced(structure, ways, sentences, place, token_B)
        left_B = turn_B - (second_B >= 0)
        return (after, ended_at(place, after, behind_B), left_B), Line(place, behind_B, ways, token_B)

    return lax.scan(go_on, (place, behind_B, turn_B), None, length=width)[1]


def ended_at(before: Place, after: Place, behind_B: jax.Array) -> jax.Array:
    """Where in the sentence the last text ended that was copied from it: the first place where it may have."""
    ended_B = jnp.any(before.at_BP, axis=1) & ~jnp.any(after.at_BP, axis=1)
    return jnp.where(ended_B, jnp.argmax(before.at_BP, axis=1), behind_B)


def _draft(
    structure: Structure,
    copying: Copying,
    tally: Tally,
    place: Place,
    behind_B: jax.Array,
    ways: Ways,
    recent_B: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """What each row will probably take, and what it takes next often; -1 where nothing tells."""
    tokens_BX, open_BX = candidates(ways, copying)
    most = jnp.iinfo(jnp.int32).max
    lowest_B = jnp.min(jnp.where(open_BX, tokens_BX, most), axis=1)
    highest_B = jnp.max(jnp.where(open_BX, tokens_BX, -1), axis=1)
    at_B, in_text_B = _in_text(place)
    named_B1 = _is_named(copying, at_B, in_text_B, behind_B)[:, None]
    taken_BK = jnp.where(ways.open_BK, tally.taken_2E[named_B1, _edges(structure, place)], 0)
    usual_B = _most_taken(ways, taken_BK)

    next_B, kind_B = picked(copying.next_BP, at_B), picked(copying.kind_BP, at_B)
    closes_B = (kind_B != NOWHERE) & (tally.closed_F[kind_B] > tally.copied_F[kind_B])
    closes_B |= next_B == NOWHERE
    other_B = jnp.where(kind_B == NOWHERE, -1, jnp.where(closes_B, next_B, usual_B))
    name_B, later_B = _names(copying, behind_B)
    again_B = jnp.where(recent_B == NOWHERE, usual_B, recent_B)
    rest_B = _most_taken(ways, jnp.where(ways.token_BK == again_B[:, None], 0, taken_BK))

    def of_these(copied_B: jax.Array, named_B: jax.Array, chosen_B: jax.Array) -> jax.Array:
        return jnp.where(in_text_B, copied_B, jnp.where(place.fresh_B, named_B, chosen_B))

    forced_B = lowest_B == highest_B
    first_B = of_these(jnp.where(closes_B, usual_B, next_B), name_B, again_B)
    first_B = jnp.where(forced_B, lowest_B, first_B)
    second_B = of_these(other_B, later_B, rest_B)
    return first_B, jnp.where(forced_B | (second_B == first_B), -1, second_B)


def _most_taken(ways: Ways, taken_BK: jax.Array) -> jax.Array:
    """The token of the edge that was taken most often, -1 where none was."""
    return jnp.where(jnp.max(taken_BK, axis=1) > 0, picked(ways.token_BK, jnp.argmax(taken_BK, axis=1)), -1)


def _names(copying: Copying, behind_B: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How the next word that looks like a name begins, and the one behind it; -1 where there is none."""

    def first_of(name_B: jax.Array) -> jax.Array:
        return jnp.where(name_B == NOWHERE, -1, picked(copying.next_BP, jnp.maximum(name_B, 0)))

    last = copying.name_BP.shape[1] - 1
    name_B = picked(copying.name_BP, behind_B)
    later_B = picked(copying.name_BP, jnp.minimum(jnp.maximum(name_B, 0) + 1, last))
    return first_of(name_B), first_of(jnp.where(name_B == NOWHERE, NOWHERE, later_B))


def _in_text(place: Place) -> tuple[jax.Array, jax.Array]:
    """The first of the positions that each row's text may have come to, and whether it is in one."""
    return jnp.argmax(place.at_BP, axis=1), jnp.any(place.at_BP, axis=1) & ~place.fresh_B


def _is_named(copying: Copying, at_B: jax.Array, in_text_B: jax.Array, behind_B: jax.Array) -> jax.Array:
    """Whether the sentence has a word that looks like a name behind what was copied; int32 [B]."""
    return (picked(copying.name_BP, jnp.where(in_text_B, at_B, behind_B)) != NOWHERE).astype(jnp.int32)


def _edges(structure: Structure, place: Place) -> jax.Array:
    """The edges [B, K] of each row's node; those past its last belong to others."""
    first_B1 = structure.first_N1[place.node_B][:, None]
    return jnp.minimum(first_B1 + structure.order_K, structure.token_E.size - 1)


def recent_behind(
    recent_BN: jax.Array, node_WB: jax.Array, token_WB: jax.Array, written_WB: jax.Array
) -> jax.Array:
    """What rows last wrote at each node, behind these tokens at these nodes."""
    row_B = jnp.arange(len(recent_BN))

    def add(recent_BN: jax.Array, one: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        node_B, token_B, written_B = one
        node_B = jnp.where(written_B, node_B, recent_BN.shape[1])
        return recent_BN.at[row_B, node_B].set(token_B, mode="drop"), None

    return lax.scan(add, recent_BN, (node_WB, token_WB, written_WB))[0]


def tallied(
    tally: Tally,
    structure: Structure,
    copying: Copying,
    line: Line,
    token_WB: jax.Array,
    written_WB: jax.Array,
) -> Tally:
    """The tally with the tokens that rows wrote along their lines."""

    def add(tally: Tally, one: tuple[Line, jax.Array, jax.Array]) -> tuple[Tally, None]:
        line, token_B, written_B = one
        ways = line.ways
        taken_BK = ways.open_BK & (ways.token_BK == token_B[:, None]) & written_B[:, None]
        at_B, in_text_B = _in_text(line.place)
        kind_B = picked(copying.kind_BP, at_B)
        counts_B = written_B & in_text_B & (kind_B != NOWHERE)
        closed_B = jnp.any(taken_BK, axis=1)
        named_B1 = _is_named(copying, at_B, in_text_B, line.behind_WB)[:, None]
        return Tally(
            tally.taken_2E.at[named_B1, _edges(structure, line.place)].add(taken_BK),
            tally.copied_F.at[kind_B].add(counts_B & ~closed_B),
            tally.closed_F.at[kind_B].add(counts_B & closed_B),
        ), None

    return lax.scan(add, tally, (line, token_WB, written_WB))[0]
