"""The plain loop of generation: prompts fill the rows' own caches, then one token a step for every row.

The engine for many prompts of one prefix is `decoding`.

Shapes: B = rows, T = tokens of a row, W = new tokens of a step, N = new tokens, V = vocabulary, D = hidden size.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from kcx_jax.models import Transformer, empty_cache
from kcx_jax.ops.layouts import KV, Cached
from kcx_jax.ops.program import Program
from kcx_jax.ops.sampling import READ, WRITTEN, Sampler, choose, remembered


@partial(Program, static_argnums=(0, 1))
def generate(
    module: Transformer,
    new_tokens: int,
    sampler: Sampler,
    variables: Any,
    inverse_norm_V: jax.Array | None,
    tokens_BT: jax.Array,
    lengths_B: jax.Array,
    stop_id: jax.Array,
) -> jax.Array:
    """New ids [B, N] int32 until every row has stopped; the pad id stands behind a row's `stop_id` (-1: none).

    Rows are padded on the right; `lengths_B` of their tokens are real.
    """
    config = module.config
    rows, width = tokens_BT.shape
    no_prefix = jax.tree.map(lambda kv: kv[:, 0], empty_cache(config, 1, 1, module.dtype))
    each_B = jnp.arange(rows)

    def step(
        cache: KV, own_length_B: jax.Array, tokens_BW: jax.Array, last_B: jax.Array, seen: Any, count: Any
    ) -> tuple:
        layout = Cached(no_prefix, jnp.int32(0), own_length_B)
        positions_BW = layout.positions(tokens_BW.shape[1])
        hidden_BWD, new_cache = module.apply(variables, tokens_BW, positions_BW, layout, cache)
        scores_BV: Any = module.apply(variables, hidden_BWD[each_B, last_B], inverse_norm_V, method="logits")
        tokens_BV = jnp.broadcast_to(jnp.arange(config.vocab_size), scores_BV.shape)
        return new_cache, choose(scores_BV, tokens_BV, seen, sampler, each_B, jnp.full(rows, count))

    def go_on(state: tuple) -> jax.Array:
        count, _, _, ended_B, _, _ = state
        return (count < new_tokens) & ~jnp.all(ended_B)

    def add_token(state: tuple) -> tuple:
        count, cache, next_B, ended_B, new_BN, seen = state
        new_BN = new_BN.at[:, count].set(jnp.where(ended_B, config.pad_id, next_B))
        ended_B |= next_B == stop_id
        if seen is not None:
            seen = remembered(seen, next_B[:, None], jnp.ones((rows, 1), bool), WRITTEN)
        no_offset_B = jnp.zeros(rows, jnp.int32)
        cache, next_B = step(cache, lengths_B + count, next_B[:, None], no_offset_B, seen, count + 1)
        return count + 1, cache, next_B, ended_B, new_BN, seen

    seen_BV = None
    if sampler.repetition is not None:
        real_BT = jnp.arange(width) < lengths_B[:, None]
        nothing_BV = jnp.zeros((rows, config.vocab_size), jnp.uint8)
        seen_BV = remembered(nothing_BV, tokens_BT, real_BT, READ)
    cache = empty_cache(config, rows, width + new_tokens, module.dtype)
    cache, next_B = step(cache, jnp.zeros(rows, jnp.int32), tokens_BT, lengths_B - 1, seen_BV, 0)
    new_BN = jnp.full((rows, new_tokens), config.pad_id, jnp.int32)
    state = (0, cache, next_B, jnp.zeros(rows, bool), new_BN, seen_BV)
    return jax.lax.while_loop(go_on, add_token, state)[4]
