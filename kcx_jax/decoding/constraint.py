"""On the device: which tokens a row may write next, by its automaton and its sentence, and where a token takes it.

Shapes: B rows, V vocabulary, N nodes, E their edges, K most edges of a node, P positions of a sentence, T its edges,
X those of mixed tokens; S states of free text, W what mixed edges need. All but V, S and W filled up, so that few
programs are compiled.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.decoding.automaton import CLOSING, FREE, MIXED, Automaton
from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.spans import NOWHERE, Spans
from kcx_jax.decoding.text import NEVER, FreeText

_SMALLEST = 64, 256, 16  # positions, edges, mixed edges


class Text(NamedTuple):
    """The tables of a `FreeText`: int8."""

    next_SV: jax.Array
    mixed_SW: jax.Array


class Structure(NamedTuple):
    """An `Automaton`: int32 but `slot_N` (bool). `order_K` is 0, 1, ... K - 1. `text`: where what is between quotes may
    be any text; None where it stands in the sentence.
    """

    first_N1: jax.Array
    token_E: jax.Array
    to_E: jax.Array
    need_E: jax.Array
    slot_N: jax.Array
    order_K: jax.Array
    text: Text | None = None


class Sentences(NamedTuple):
    """The `Spans` of each row: int32 but `border_BP` (bool). Edges that only fill up are from `NOWHERE`."""

    border_BP: jax.Array
    from_BT: jax.Array
    token_BT: jax.Array
    to_BT: jax.Array
    mixed_BX: jax.Array
    mixed_from_BX: jax.Array
    mixed_to_BX: jax.Array


class Place(NamedTuple):
    """Where each row is: its node, and between quotes the positions of the sentence that what is written may end at.

    Where text is free, the positions are its states, of which what is written has one.
    """

    node_B: jax.Array
    at_BP: jax.Array  # bool
    fresh_B: jax.Array  # bool: nothing is written since the quote


class Ways(NamedTuple):
    """The edges that are open to each row."""

    token_BK: jax.Array
    to_BK: jax.Array
    need_BK: jax.Array
    open_BK: jax.Array
    open_BT: jax.Array
    open_BV: jax.Array | None = None  # where text is free


def on_device(automaton: Automaton, text: FreeText | None = None) -> Structure:
    """The automaton's arrays, filled up to powers of two; with `text` its slots take any."""
    edges, nodes = bucket(len(automaton.token_E)), bucket(len(automaton.slot_N))
    most = bucket(int(np.diff(automaton.first_N1).max()), 32)
    first_N1 = np.full(nodes + 1, automaton.first_N1[-1], np.int32)
    first_N1[: len(automaton.first_N1)] = automaton.first_N1
    need_E = automaton.need_E if text is None else text.need_E
    arrays = (
        first_N1,
        *(filled(array, edges) for array in (automaton.token_E, automaton.to_E, need_E)),
        filled(automaton.slot_N, nodes),
        np.arange(most, dtype=np.int32),
    )
    tables = None if text is None else Text(jnp.asarray(text.next_SV), jnp.asarray(text.mixed_SW))
    return Structure._make([*map(jnp.asarray, arrays), tables])


def stacked(spans: Sequence[Spans], sizes: tuple[int, int, int]) -> Sentences:
    """The spans of several sentences as rows of numpy, filled up to `sizes` (`sizes_of` of them, or more)."""
    positions, edges, mixed = sizes
    fills = (positions, edges, edges, edges, mixed, mixed, mixed)
    values = (False, NOWHERE, NOWHERE, 0, NOWHERE, NOWHERE, NOWHERE)
    return Sentences(*as_rows(spans, fills, values))


def as_rows(parts: Sequence[Any], sizes: Sequence[int], values: Sequence[int]) -> Iterator[Any]:
    """Each field of these dataclasses as rows, filled up to its size with its value."""
    for name, size, value in zip(vars(parts[0]), sizes, values, strict=True):
        yield np.stack([filled(getattr(part, name), size, value) for part in parts])


def sizes_of(spans: Sequence[Spans]) -> tuple[int, int, int]:
    """Positions, edges and mixed edges that hold each of these sentences: few sizes, which grow together, because a
    program is compiled for each.
    """
    needed = [(len(each.border_P), len(each.from_E), len(each.mixed_X)) for each in spans]
    most = (max(column) for column in zip(*needed, strict=True))
    times = bucket(max(-(-size // least) for size, least in zip(most, _SMALLEST, strict=True)))
    positions, edges, mixed = (least * times for least in _SMALLEST)
    return positions, edges, mixed


def allowed(ways: Ways, sentences: Sentences, vocabulary: int) -> jax.Array:
    """bool [B, V]: the tokens that each row may write next."""
    rows = len(ways.token_BK)
    row_B1 = jnp.arange(rows)[:, None]
    tokens = jnp.concatenate([ways.token_BK, sentences.token_BT], axis=1)
    is_open = jnp.concatenate([ways.open_BK, ways.open_BT], axis=1)
    column = jnp.where(is_open, tokens, vocabulary)
    mask_BV = jnp.zeros((rows, vocabulary), bool).at[row_B1, column].set(True, mode="drop")
    if ways.open_BV is None:
        return mask_BV
    more = vocabulary - ways.open_BV.shape[1]  # rows of the head that no token has
    return mask_BV | jnp.pad(ways.open_BV, ((0, 0), (0, more)))


def advanced(
    structure: Structure, ways: Ways, sentences: Sentences, place: Place, token_B: jax.Array
) -> Place:
    """Where each row is behind `token_B`, one of the ways that are open at `place`."""
    taken_BK = ways.open_BK & (ways.token_BK == token_B[:, None])
    taken_B = jnp.any(taken_BK, axis=1)
    to_B, need_B = (picked(each, jnp.argmax(taken_BK, axis=1)) for each in (ways.to_BK, ways.need_BK))
    node_B = jnp.where(taken_B, to_B, place.node_B)

    # Positions: of a text that goes on; of one that begins in a mixed token; all borders for one that is still empty.
    if structure.text is None:
        row_B1, none = jnp.arange(token_B.size)[:, None], jnp.zeros_like(place.at_BP)
        went_BT = ways.open_BT & (sentences.token_BT == token_B[:, None])
        went_BP = none.at[row_B1, sentences.to_BT].max(went_BT)
        into_BX = (sentences.mixed_BX == need_B[:, None] - MIXED) & (sentences.mixed_to_BX != NOWHERE)
        into_BP = none.at[row_B1, jnp.maximum(sentences.mixed_to_BX, 0)].max(into_BX)
    else:
        state_B, position_P = _state(structure.text, place), jnp.arange(place.at_BP.shape[1])
        went_BP = structure.text.next_SV[state_B, token_B][:, None] == position_P
        into_B = structure.text.mixed_SW[state_B, jnp.maximum(need_B - MIXED, 0)]
        into_BP = (into_B[:, None] == position_P) & (need_B >= MIXED)[:, None]
    opened_B = taken_B & structure.slot_N[node_B]
    mixed_B = need_B >= MIXED
    fresh_B = opened_B & (~mixed_B | ~jnp.any(into_BP, axis=1))
    at_BP = jnp.where(taken_B[:, None], jnp.where(fresh_B[:, None], sentences.border_BP, into_BP), went_BP)
    return Place(node_B, at_BP & (opened_B | ~taken_B)[:, None], fresh_B)


def open_ways(structure: Structure, sentences: Sentences, place: Place) -> Ways:
    """The edges that are open to each row at its place."""
    start_B, end_B = structure.first_N1[place.node_B], structure.first_N1[place.node_B + 1]
    edge_BK = start_B[:, None] + structure.order_K
    there_BK = edge_BK < end_B[:, None]
    edge_BK = jnp.where(there_BK, edge_BK, 0)
    token_BK, to_BK, need_BK = (
        each[edge_BK] for each in (structure.token_E, structure.to_E, structure.need_E)
    )

    def at(position: jax.Array) -> jax.Array:
        found = jnp.take_along_axis(place.at_BP, jnp.maximum(position, 0), axis=1)
        return found & (position != NOWHERE)

    slot_B1 = structure.slot_N[place.node_B][:, None]
    open_BT = slot_B1 & at(sentences.from_BT)
    ends_B1 = (jnp.any(place.at_BP & sentences.border_BP, axis=1) & ~place.fresh_B)[:, None]
    if structure.text is None:
        # A mixed token that opens has no position to come from; one that closes has, and what it says comes first.
        open_BX = at(sentences.mixed_from_BX) | (sentences.mixed_from_BX == NOWHERE)
        open_BX &= sentences.mixed_BX != NOWHERE
        wanted_BKX = (need_BK - MIXED)[:, :, None] == sentences.mixed_BX[:, None, :]
        mixed_BK, open_BV = jnp.any(wanted_BKX & open_BX[:, None, :], axis=2), None
    else:
        state_B = _state(structure.text, place)
        mixed_BK = structure.text.mixed_SW[state_B[:, None], jnp.maximum(need_BK - MIXED, 0)] != NEVER
        open_BV = slot_B1 & (structure.text.next_SV[state_B] != NEVER)
    met_BK = jnp.where(need_BK == FREE, True, jnp.where(need_BK == CLOSING, ends_B1, mixed_BK))
    return Ways(token_BK, to_BK, need_BK, there_BK & met_BK, open_BT, open_BV)


def _state(text: Text, place: Place) -> jax.Array:
    """int32 [B]: the state of each row's text; that of an empty one where none is begun."""
    return jnp.argmax(place.at_BP[:, : len(text.next_SV)], axis=1).astype(jnp.int32)


def picked(x_BX: jax.Array, which_B: jax.Array) -> jax.Array:
    """One of each row: [B]."""
    return jnp.take_along_axis(x_BX, which_B[:, None], axis=1)[:, 0]


def filled(array: np.ndarray, size: int, value: int = 0) -> np.ndarray:
    return np.concatenate([array, np.full(size - len(array), value, array.dtype)])
