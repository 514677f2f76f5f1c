"""Drafts: the tokens that a row will probably write next, so that several are verified in one step of the model.

Where the automaton leaves one token, that. A text begins at the next word that is probably a name, behind the text
before, and goes on as the sentence does; where a word ends it ends too if texts did so more often before such a word as
comes next. At other choices, what answers took before such a name as comes next, or what the row took at this node
before, or what answers took there most often. A draft changes how fast an answer is written, and nothing else: it stays
if it is the token that would have been chosen. Few rows follow several lines of drafts, which turn off the first at one
choice each.

Shapes: B rows, N nodes, E edges of the automaton, K most edges of a node, P positions of a sentence, T its edges,
U distinct tokens of these, W places of a line.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.decoding.constraint import (
    Place,
    Sentences,
    Structure,
    Ways,
    advanced,
    open_ways,
    picked,
)
from kcx_jax.decoding.copies import GROUPS, KINDS_OF_A_GROUP, WORDS, Copying
from kcx_jax.decoding.spans import NOWHERE

_CHOICES = 1 << 15  # numbers that tokens, and pairs of a word and an edge, share


class Tally(NamedTuple):
    """What answers did so far, int32.

    How often they took each edge, with no name to come in the sentence [0] and with one [1]; how often each token,
    whatever the edge, and each edge before a name with such a last word, both in one table of `_CHOICES`. Where a word
    ended, how often a text went on and how often it ended, by the kind of what came next. How often a text began with a
    word, and how often one could have.
    """

    taken_2E: jax.Array
    taken_H: jax.Array
    copied_F: jax.Array
    closed_F: jax.Array
    named_S: jax.Array
    passed_S: jax.Array


class Line(NamedTuple):
    """A row's drafts one after another, with a leading axis W: the place before each token, where in the sentence the
    text before ended, the ways from there, and the token, -1 where nothing is drafted.
    """

    place: Place
    behind_WB: jax.Array
    ways: Ways
    token_WB: jax.Array


def empty_tally(structure: Structure) -> Tally:
    """The tally before any answer: words with a capital are names until one is passed over."""
    capital_S = (jnp.arange(2 * WORDS) >= WORDS).astype(jnp.int32)
    taken_H, passed_S = jnp.zeros(_CHOICES, jnp.int32), jnp.zeros(2 * WORDS, jnp.int32)
    copied_F, closed_F = (jnp.zeros(GROUPS * KINDS_OF_A_GROUP, jnp.int32) for _ in range(2))
    taken_2E = jnp.zeros((2, structure.token_E.size), jnp.int32)
    return Tally(taken_2E, taken_H, copied_F, closed_F, capital_S, passed_S)


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
    name_BP = _names(copying, tally)

    def go_on(before: tuple[Place, jax.Array, jax.Array], _: None) -> tuple[Any, Line]:
        place, behind_B, turn_B = before
        ways = open_ways(structure, sentences, place)
        recent_B = picked(recent_BN, place.node_B)
        first_B, second_B = _draft(structure, copying, tally, name_BP, place, behind_B, ways, recent_B)
        token_B = jnp.where((turn_B == 1) & (second_B >= 0), second_B, first_B)
        after = advanced(structure, ways, sentences, place, token_B)
        left_B = turn_B - (second_B >= 0)
        return (after, ended_at(place, after, behind_B), left_B), Line(place, behind_B, ways, token_B)

    return lax.scan(go_on, (place, behind_B, turn_B), None, length=width)[1]


def ended_at(before: Place, after: Place, behind_B: jax.Array) -> jax.Array:
    """Where in the sentence the last text ended that was copied from it."""
    ended_B = jnp.any(before.at_BP, axis=1) & ~jnp.any(after.at_BP, axis=1)
    return jnp.where(ended_B, _first_behind(before.at_BP, behind_B), behind_B)


def _draft(
    structure: Structure,
    copying: Copying,
    tally: Tally,
    name_BP: jax.Array,
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
    at_B, in_text_B = _in_text(place, behind_B)
    edge_BK, named_B, choice_BK = _choices(structure, copying, name_BP, place, behind_B)

    def of_open(count_BK: jax.Array) -> jax.Array:
        return jnp.where(ways.open_BK, count_BK, 0)

    taken_BK = of_open(tally.taken_2E[named_B[:, None], edge_BK])
    elsewhere_BK = of_open(1 + tally.taken_H[ways.token_BK % _CHOICES])
    before_name_BK = jnp.where(named_B[:, None] > 0, of_open(tally.taken_H[choice_BK]), 0)
    usual_B = _most_taken(ways, taken_BK)
    usual_B = jnp.where(usual_B == NOWHERE, _most_taken(ways, elsewhere_BK), usual_B)

    next_B, kind_B = picked(copying.next_BP, at_B), picked(copying.kind_BP, at_B)
    closes_B = (next_B == NOWHERE) | ((kind_B != NOWHERE) & _ends_more_often(tally, kind_B))
    other_B = jnp.where(kind_B == NOWHERE, -1, jnp.where(closes_B, next_B, usual_B))
    begin_B, later_B = _beginnings(copying, name_BP, behind_B)
    again_B = _most_taken(ways, before_name_BK)
    again_B = jnp.where(again_B == NOWHERE, recent_B, again_B)
    again_B = jnp.where(again_B == NOWHERE, usual_B, again_B)
    rest_B = _most_taken(ways, jnp.where(ways.token_BK == again_B[:, None], 0, taken_BK))

    def of_these(copied_B: jax.Array, named_B: jax.Array, chosen_B: jax.Array) -> jax.Array:
        return jnp.where(in_text_B, copied_B, jnp.where(place.fresh_B, named_B, chosen_B))

    forced_B = lowest_B == highest_B
    first_B = of_these(jnp.where(closes_B, usual_B, next_B), begin_B, again_B)
    first_B = jnp.where(forced_B, lowest_B, first_B)
    second_B = of_these(other_B, later_B, rest_B)
    return first_B, jnp.where(forced_B | (second_B == first_B), -1, second_B)


def _most_taken(ways: Ways, taken_BK: jax.Array) -> jax.Array:
    """The token of the edge that was taken most often, `NOWHERE` where none was."""
    taken_B = jnp.max(taken_BK, axis=1) > 0
    return jnp.where(taken_B, picked(ways.token_BK, jnp.argmax(taken_BK, axis=1)), NOWHERE)


def _ends_more_often(tally: Tally, kind_B: jax.Array) -> jax.Array:
    """Whether texts ended before such a kind more often than they went on, or before its group, if none came to it."""

    def of_group(count_F: jax.Array) -> jax.Array:
        return jnp.sum(count_F.reshape(GROUPS, -1), axis=1)[kind_B // KINDS_OF_A_GROUP]

    closed_B, copied_B = tally.closed_F[kind_B], tally.copied_F[kind_B]
    known_B = closed_B + copied_B > 0
    return jnp.where(known_B, closed_B > copied_B, of_group(tally.closed_F) > of_group(tally.copied_F))


def _names(copying: Copying, tally: Tally) -> jax.Array:
    """Where, at or behind each position, the first word begins that texts begin with more often than not; P: none."""
    P = copying.word_BP.shape[1]
    often_S = tally.named_S > tally.passed_S
    is_name_BP = (copying.word_BP != NOWHERE) & often_S[copying.word_BP]
    return lax.cummin(jnp.where(is_name_BP, jnp.arange(P), P), axis=1, reverse=True)


def _beginnings(copying: Copying, name_BP: jax.Array, behind_B: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How the next name begins, and the one behind it; `NOWHERE` where there is none."""
    last = name_BP.shape[1] - 1

    def token_at(name_B: jax.Array) -> jax.Array:
        return jnp.where(name_B > last, NOWHERE, picked(copying.next_BP, jnp.minimum(name_B, last)))

    name_B = picked(name_BP, behind_B)
    later_B = jnp.where(name_B < last, picked(name_BP, jnp.minimum(name_B + 1, last)), last + 1)
    return token_at(name_B), token_at(later_B)


def _first_behind(at_BP: jax.Array, behind_B: jax.Array) -> jax.Array:
    """The first of the positions at or behind another one; the first of all where there are none."""
    behind_BP = at_BP & (jnp.arange(at_BP.shape[1]) >= behind_B[:, None])
    found_BP = jnp.where(jnp.any(behind_BP, axis=1, keepdims=True), behind_BP, at_BP)
    return jnp.argmax(found_BP, axis=1)


def _in_text(place: Place, behind_B: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which of the positions that each row's text may have come to it has probably, and whether it is in one."""
    return _first_behind(place.at_BP, behind_B), jnp.any(place.at_BP, axis=1) & ~place.fresh_B


def _choices(
    structure: Structure, copying: Copying, name_BP: jax.Array, place: Place, behind_B: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The edges [B, K] of each row's node (those past its last belong to others); whether a name is to come (int32);
    and the numbers [B, K] of the edges before a name with such a last word.
    """
    first_B1 = structure.first_N1[place.node_B][:, None]
    edge_BK = jnp.minimum(first_B1 + structure.order_K, structure.token_E.size - 1)
    at_B, in_text_B = _in_text(place, behind_B)
    name_B = picked(name_BP, jnp.where(in_text_B, at_B, behind_B))
    last = name_BP.shape[1] - 1
    word_B1 = picked(copying.last_BP, jnp.minimum(name_B, last))[:, None]
    return edge_BK, (name_B <= last).astype(jnp.int32), (word_B1 * 7919 + edge_BK) % _CHOICES


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
    sentences: Sentences,
    copying: Copying,
    line: Line,
    token_WB: jax.Array,
    written_WB: jax.Array,
    done_B: jax.Array,
    behind_B: jax.Array,
) -> Tally:
    """The tally with the tokens that rows wrote along their lines; those that are done name nothing more behind
    `behind_B`.
    """
    position_P, name_BP = jnp.arange(copying.word_BP.shape[1]), _names(copying, tally)

    def seen(line: Line, token_B: jax.Array, written_B: jax.Array) -> _Seen:
        return _seen(structure, sentences, copying, name_BP, line, token_B, written_B)

    seen_W = jax.vmap(seen)(line, token_WB, written_WB)
    over_BP = jnp.sum(seen_W.over_BP, axis=0) + (done_B[:, None] & (position_P >= behind_B[:, None]))
    word_BP = jnp.where(copying.word_BP == NOWHERE, tally.named_S.size, copying.word_BP)
    begun_WB = jnp.take_along_axis(
        word_BP.T, seen_W.begin_B, axis=0, mode="fill", fill_value=tally.named_S.size
    )
    return Tally(
        tally.taken_2E.at[seen_W.named_B[..., None], seen_W.edge_BK].add(seen_W.taken_BK),
        tally.taken_H.at[seen_W.choice_BX].add(1, mode="drop"),
        tally.copied_F.at[seen_W.kind_B].add(seen_W.copied_B),
        tally.closed_F.at[seen_W.kind_B].add(seen_W.closed_B),
        tally.named_S.at[begun_WB].add(1, mode="drop"),
        tally.passed_S.at[word_BP].add(over_BP, mode="drop"),
    )


class _Seen(NamedTuple):
    """What is to be counted of one place of rows: bool but `named_B`, `edge_BK`, `choice_BX`, `kind_B`, `begin_B`."""

    named_B: jax.Array
    edge_BK: jax.Array
    taken_BK: jax.Array
    choice_BX: jax.Array  # of two K; `_CHOICES` for none
    kind_B: jax.Array
    copied_B: jax.Array
    closed_B: jax.Array
    begin_B: jax.Array  # where a text began; P for nowhere
    over_BP: jax.Array  # where one could have, behind the text before


def _seen(
    structure: Structure,
    sentences: Sentences,
    copying: Copying,
    name_BP: jax.Array,
    line: Line,
    token_B: jax.Array,
    written_B: jax.Array,
) -> _Seen:
    """What rows show that are at one place of `line` and write a token."""
    place, behind_B, ways, _ = line
    taken_BK = ways.open_BK & (ways.token_BK == token_B[:, None]) & written_B[:, None]
    edge_BK, named_B, choice_BK = _choices(structure, copying, name_BP, place, behind_B)
    at_B, in_text_B = _in_text(place, behind_B)
    chosen_BK = taken_BK & (~in_text_B & (named_B > 0))[:, None]
    of_word_BK = jnp.where(chosen_BK, choice_BK, _CHOICES)
    of_token_BK = jnp.where(taken_BK, ways.token_BK % _CHOICES, _CHOICES)

    kind_B = picked(copying.kind_BP, at_B)
    counts_B = written_B & in_text_B & (kind_B != NOWHERE)
    closes_B = jnp.any(taken_BK, axis=1)

    begins_BT = ways.open_BT & (sentences.token_BT == token_B[:, None]) & (place.fresh_B & written_B)[:, None]
    P, from_BT = place.at_BP.shape[1], sentences.from_BT

    def first_of(these_BT: jax.Array) -> jax.Array:
        return jnp.min(jnp.where(these_BT, from_BT, P), axis=1)

    behind_begin_B = first_of(begins_BT & (from_BT >= behind_B[:, None]))
    begin_B = jnp.where(behind_begin_B < P, behind_begin_B, first_of(begins_BT))  # P: no text begins
    position_P = jnp.arange(P)
    over_BP = (begin_B < P)[:, None] & (position_P >= behind_B[:, None]) & (position_P < begin_B[:, None])
    return _Seen(
        named_B=named_B,
        edge_BK=edge_BK,
        taken_BK=taken_BK,
        choice_BX=jnp.concatenate([of_word_BK, of_token_BK], axis=1),
        kind_B=kind_B,
        copied_B=counts_B & ~closes_B,
        closed_B=counts_B & closes_B,
        begin_B=begin_B,
        over_BP=over_BP,
    )
