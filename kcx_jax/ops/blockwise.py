"""One part of a softmax over several sets of keys, block by block of keys (online softmax), by plain operations.

Nothing as large as queries times keys is kept for the backward pass. Any device, dtype, head size and distance rule.

Shapes: B = rows, T = queries, S = keys, Z = keys of a block, H = query heads, G = heads of keys and values, R = query
heads of each, C = channels of a head.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.ops.distance import Distance
from kcx_jax.ops.numerics import statistics_dtype

MASKED = (
    -1e30
)  # a score; also the log-sum-exp of a query without keys: finite, so that differences are no NaN
LOWEST_TOP = -1e29
_BLOCK = 128  # of 64, 128 and 512 the one that is fast on CPUs and small (docs/kernels.md)


@dataclass(frozen=True)
class BlockwisePart:
    """Attention of queries at positions to keys at 0, 1, 2, ..., the first `length_B` of them filled (None: all).

    A query sees no key behind its own position (`Part`).
    """

    length_B: jax.Array | None
    position_BT: jax.Array
    distance: Distance
    block: int = _BLOCK

    def forward(self, q_BTHC: jax.Array, k_BSGC: jax.Array, v_BSGC: jax.Array) -> tuple[jax.Array, jax.Array]:
        q = _grouped(q_BTHC, k_BSGC.shape[2])
        wide = statistics_dtype(q.dtype)

        def step(carry: tuple, block: tuple) -> tuple[tuple, None]:
            out, total, top = carry
            k, v, start = block
            scores, _ = self._scores(q, k, start, k_BSGC.shape[1])
            new_top = jnp.maximum(top, jnp.max(scores, axis=-1))
            weights, kept = jnp.exp(scores - new_top[..., None]), jnp.exp(top - new_top)
            product = jnp.einsum("bgrtz,bgzc->bgrtc", weights.astype(v.dtype), v, preferred_element_type=wide)
            return (out * kept[..., None] + product, total * kept + jnp.sum(weights, axis=-1), new_top), None

        nothing = jnp.zeros(q.shape[:-1], wide)
        start = (jnp.zeros(q.shape, wide), nothing, nothing + LOWEST_TOP)
        (out, total, top), _ = lax.scan(step, start, self._blocks(k_BSGC, v_BSGC))
        some = total > 0
        out = jnp.where(some[..., None], out / jnp.where(some, total, 1)[..., None], 0)
        lse = jnp.where(some, top + jnp.log(jnp.where(some, total, 1)), MASKED)
        return _ungrouped(out).astype(q_BTHC.dtype), _ungrouped(lse[..., None])[..., 0]

    def backward(
        self,
        q_BTHC: jax.Array,
        k_BSGC: jax.Array,
        v_BSGC: jax.Array,
        out_BTHC: jax.Array,
        lse_BTH: jax.Array,
        d_out_BTHC: jax.Array,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        keys, heads = k_BSGC.shape[1:3]
        wide = statistics_dtype(q_BTHC.dtype)
        q, d_out, lse = (_grouped(x, heads) for x in (q_BTHC, d_out_BTHC, lse_BTH[..., None]))
        overlap = jnp.sum((out_BTHC.astype(wide) * d_out_BTHC), axis=-1, keepdims=True)
        overlap = _grouped(overlap, heads)

        def step(dq: jax.Array, block: tuple) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            k, v, start = block
            scores, seen = self._scores(q, k, start, keys)
            shares = jnp.where(seen, jnp.exp(scores - lse), 0)
            d_shares = jnp.einsum("bgrtc,bgzc->bgrtz", d_out, v, preferred_element_type=wide)
            d_scores = (shares * (d_shares - overlap) * q.shape[-1] ** -0.5).astype(q.dtype)
            dv = jnp.einsum("bgrtz,bgrtc->bgzc", shares.astype(q.dtype), d_out, preferred_element_type=wide)
            dk = jnp.einsum("bgrtz,bgrtc->bgzc", d_scores, q, preferred_element_type=wide)
            return dq + jnp.einsum("bgrtz,bgzc->bgrtc", d_scores, k, preferred_element_type=wide), (dk, dv)

        dq, d_blocks = lax.scan(step, jnp.zeros(q.shape, wide), self._blocks(k_BSGC, v_BSGC))
        dk, dv = (_joined(x, keys).astype(k_BSGC.dtype) for x in d_blocks)
        return _ungrouped(dq).astype(q_BTHC.dtype), dk, dv

    def _scores(
        self, q_BGRTC: jax.Array, k_BGZC: jax.Array, start: jax.Array, keys: int
    ) -> tuple[jax.Array, jax.Array]:
        """Scores of a block that begins at key `start`, and which of them count, [B, G, R, T, Z]."""
        wide = statistics_dtype(q_BGRTC.dtype)
        scores = jnp.einsum("bgrtc,bgzc->bgrtz", q_BGRTC, k_BGZC, preferred_element_type=wide)
        scores *= q_BGRTC.shape[-1] ** -0.5
        key = start + jnp.arange(k_BGZC.shape[2])
        query = self.position_BT[:, None, None, :, None]
        bias = self.distance.bias(query, key, q_BGRTC.shape[2], wide)
        if bias is not None:
            scores += bias
        filled = keys if self.length_B is None else self.length_B[:, None, None, None, None]
        seen = self.distance.sees((key < filled) & (key <= query), query, key)
        return jnp.where(seen, scores, MASKED), seen

    def _blocks(self, k_BSGC: jax.Array, v_BSGC: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Keys and values [blocks, B, G, Z, C], padded to whole blocks, and the first key of each block."""
        keys = k_BSGC.shape[1]
        blocks = -(-keys // self.block)
        size = -(-keys // blocks)

        def cut(x_BSGC: jax.Array) -> jax.Array:
            B, _, G, C = x_BSGC.shape
            padded = jnp.pad(x_BSGC, [(0, 0), (0, blocks * size - keys), (0, 0), (0, 0)])
            return padded.reshape(B, blocks, size, G, C).transpose(1, 0, 3, 2, 4)

        return cut(k_BSGC), cut(v_BSGC), jnp.arange(blocks) * size


def _joined(x_blocks: jax.Array, keys: int) -> jax.Array:
    """The way back from `_blocks`: [blocks, B, G, Z, C] -> [B, S, G, C]."""
    blocks, B, G, size, C = x_blocks.shape
    return x_blocks.transpose(1, 0, 3, 2, 4).reshape(B, blocks * size, G, C)[:, :keys]


def _grouped(x_BTHC: jax.Array, kv_heads: int) -> jax.Array:
    """Query heads by the head of keys they share: [B, G, R, T, C]."""
    B, T, H, C = x_BTHC.shape
    return jnp.moveaxis(x_BTHC.reshape(B, T, kv_heads, H // kv_heads, C), 1, 3)


def _ungrouped(x_BGRTC: jax.Array) -> jax.Array:
    """The way back from `_grouped`: [B, T, H, C]."""
    B, G, R, T, C = x_BGRTC.shape
    return jnp.moveaxis(x_BGRTC, 3, 1).reshape(B, T, G * R, C)
