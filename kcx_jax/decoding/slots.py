"""The jitted half of decoding: a fixed number of slots, each writing one answer after the shared prefix.

`admit` puts new contexts into free slots, `decode` writes one token a step in all slots that are live. Slots
that are not live compute along and change nothing.

Shapes: B = slots, A = contexts admitted at once, C = their width, N = most new tokens, S = C + N slots of a
row's own cache, P = prefix slots, D = hidden size, V = vocabulary.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.decoding.constraint import Place, Sentences, Structure, advanced, allowed, open_ways
from kcx_jax.decoding.prefixes import Prefix
from kcx_jax.models import ModelConfig, Transformer, empty_cache, prefix_cache
from kcx_jax.ops.layouts import KV, Cached
from kcx_jax.ops.program import Program


class Rules(NamedTuple):
    """The sentences of rows, and where their answers are."""

    sentences: Sentences
    place: Place


class Slots(NamedTuple):
    """All rows in work; int32 unless said otherwise."""

    cache: KV  # [layers, B, H, S, C]
    own_length_B: jax.Array  # filled slots of the cache
    next_B: jax.Array  # the token that was chosen last and not read yet
    ids_BN: jax.Array
    logprobs_BN: jax.Array  # float32, of the same tokens
    count_B: jax.Array  # how many of them are written
    limit_B: jax.Array  # how many may be
    live_B: jax.Array  # bool: still writing
    ended_B: jax.Array  # bool: has written the end token (which is not among its ids)
    rules: Rules | None  # what each may write; None: anything


def empty_slots(
    config: ModelConfig,
    slots: int,
    width: int,
    max_new: int,
    dtype: jax.typing.DTypeLike,
    rules: Rules | None = None,
) -> Slots:
    """`slots` free slots for contexts of up to `width` tokens and answers of up to `max_new`; `rules` as for rows
    without a sentence, where answers are constrained.
    """
    return Slots(  # a buffer each: all are donated
        cache=empty_cache(config, slots, width + max_new, dtype),
        own_length_B=jnp.zeros(slots, jnp.int32),
        next_B=jnp.zeros(slots, jnp.int32),
        ids_BN=jnp.zeros((slots, max_new), jnp.int32),
        logprobs_BN=jnp.zeros((slots, max_new), jnp.float32),
        count_B=jnp.zeros(slots, jnp.int32),
        limit_B=jnp.zeros(slots, jnp.int32),
        live_B=jnp.zeros(slots, bool),
        ended_B=jnp.zeros(slots, bool),
        rules=rules,
    )


@partial(Program, static_argnames="module")
def read_prefix(module: Transformer, variables: Any, tokens_P: jax.Array, length: jax.Array) -> KV:
    """Keys and values [layers, H, P, C] of a prefix whose first `length` tokens are real."""
    return prefix_cache(module, variables, tokens_P, length)


@partial(Program, static_argnames="module", donate_argnames="slots")
def admit(
    module: Transformer,
    variables: Any,
    inverse_norm_V: jax.Array | None,
    prefix: Prefix,
    structure: Structure | None,
    slots: Slots,
    tokens_AC: jax.Array,
    length_A: jax.Array,
    limit_A: jax.Array,
    slot_A: jax.Array,
    rules_A: Rules | None,
) -> Slots:
    """Read contexts (right-padded) and choose each answer's first token; rows for slot B hold no context."""
    A, C = tokens_AC.shape
    layout = Cached(*prefix, jnp.zeros(A, jnp.int32))
    own = empty_cache(module.config, A, C, slots.cache.k.dtype)
    hidden_ACD, own = _forward(module, variables, tokens_AC, layout, own)
    hidden_AD = jnp.take_along_axis(hidden_ACD, length_A[:, None, None] - 1, axis=1)[:, 0]
    token_A, logprob_A, rules_A = _choose(module, variables, inverse_norm_V, hidden_AD, structure, rules_A)

    def put(old: jax.Array, new: Any) -> jax.Array:
        return old.at[slot_A].set(new, mode="drop")

    slots = slots._replace(
        cache=jax.tree.map(lambda old, new: old.at[:, slot_A, :, :C].set(new, mode="drop"), slots.cache, own),
        own_length_B=put(slots.own_length_B, length_A),
        count_B=put(slots.count_B, 0),
        limit_B=put(slots.limit_B, limit_A),
        live_B=put(slots.live_B, True),
        ended_B=put(slots.ended_B, False),
        rules=jax.tree.map(put, slots.rules, rules_A),
    )
    chosen_B = jnp.zeros_like(slots.live_B).at[slot_A].set(True, mode="drop")
    token_B = put(slots.next_B, token_A)
    logprob_B = put(jnp.zeros(slots.live_B.size, logprob_A.dtype), logprob_A)
    return _write(slots, token_B, logprob_B, chosen_B, module.config.eos_id)


@partial(Program, static_argnames="module", donate_argnames="slots")
def decode(
    module: Transformer,
    variables: Any,
    inverse_norm_V: jax.Array | None,
    prefix: Prefix,
    structure: Structure | None,
    slots: Slots,
    live_floor: jax.Array,
) -> Slots:
    """Greedy steps until at most `live_floor` slots are live."""

    def step(slots: Slots) -> Slots:
        layout = Cached(*prefix, slots.own_length_B)
        hidden_B1D, cache = _forward(module, variables, slots.next_B[:, None], layout, slots.cache)
        token_B, logprob_B, rules = _choose(
            module, variables, inverse_norm_V, hidden_B1D[:, 0], structure, slots.rules
        )
        slots = slots._replace(cache=cache, own_length_B=slots.own_length_B + slots.live_B, rules=rules)
        return _write(slots, token_B, logprob_B, slots.live_B, module.config.eos_id)

    return lax.while_loop(lambda slots: jnp.sum(slots.live_B) > live_floor, step, slots)


def _forward(
    module: Transformer, variables: Any, tokens_BW: jax.Array, layout: Cached, cache: KV
) -> tuple[jax.Array, KV]:
    result: Any = module.apply(variables, tokens_BW, layout.positions(tokens_BW.shape[1]), layout, cache)
    return result


def _choose(
    module: Transformer,
    variables: Any,
    inverse_norm_V: jax.Array | None,
    hidden_BD: jax.Array,
    structure: Structure | None,
    rules: Rules | None,
) -> tuple[jax.Array, jax.Array, Rules | None]:
    """The most likely next token of each row that the rules allow, its log-probability among all, and the rules
    behind it."""
    logits_BV: Any = module.apply(variables, hidden_BD, inverse_norm_V, method="logits")
    if structure is None or rules is None:
        token_B = jnp.argmax(logits_BV, axis=-1).astype(jnp.int32)
    else:
        ways = open_ways(structure, *rules)
        mask_BV = allowed(ways, rules.sentences, logits_BV.shape[1])
        token_B = jnp.argmax(jnp.where(mask_BV, logits_BV, -jnp.inf), axis=-1).astype(jnp.int32)
        rules = rules._replace(place=advanced(structure, ways, *rules, token_B))
    score_B = jnp.take_along_axis(logits_BV, token_B[:, None], axis=1)[:, 0]
    return token_B, score_B - jax.nn.logsumexp(logits_BV, axis=-1), rules


def _write(slots: Slots, token_B: jax.Array, logprob_B: jax.Array, chosen_B: jax.Array, eos_id: int) -> Slots:
    """Append the tokens of the `chosen_B` slots to their answers; the end token and the limit end a slot."""
    ended_B = chosen_B & (token_B == eos_id)
    written_B = chosen_B & ~ended_B
    row_B = jnp.arange(token_B.size)
    column_B = jnp.where(written_B, slots.count_B, slots.ids_BN.shape[1])  # one past the end: not written
    count_B = slots.count_B + written_B
    return slots._replace(
        next_B=token_B,
        ids_BN=slots.ids_BN.at[row_B, column_B].set(token_B, mode="drop"),
        logprobs_BN=slots.logprobs_BN.at[row_B, column_B].set(logprob_B, mode="drop"),
        count_B=count_B,
        live_B=slots.live_B & ~ended_B & (count_B < slots.limit_B),
        ended_B=slots.ended_B | ended_B,
    )
