"""How attention sees the stream of tokens: plain rows, trees, or a cache. One strategy object each.

A layout has two methods: `per_layer()` -> (the part all layers share, the part with a leading layer axis),
and `attend(q, k, v, state, cache)` -> (output, cache, kept) for one layer. `state` is the layer's slice of the
second part; `cache`, the rows' own cache of all layers, goes from layer to layer and is written in place (cut
into layers it would be copied whole in every step of decoding); `kept` is stacked over the layers. Keys and
values are stored head-major, so that no step has to transpose a cache.

Shapes: B = rows, T = tokens of a row, H = heads, C = channels of a head, P = prefix slots, K = branches,
L = slots of a branch, G = P + K*L slots of a grid, S = slots of a row's own cache, W = new tokens of a step.
"""

from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax

from kcx_jax.ops.attention import merge, partial_attention


@struct.dataclass
class KV:
    """Keys (after RoPE) and values: [layers, H, P, C] of a prefix, [layers, B, H, S, C] of rows."""

    k: jax.Array
    v: jax.Array


@struct.dataclass
class Causal:
    """Plain rows: the first `lengths_B` tokens of a row are real, or the last ones if `left_padded`.

    With `keep_kv` the layers' keys and values come back as the new cache, KV [layers, B, H, T, C].
    """

    lengths_B: jax.Array
    left_padded: bool = struct.field(pytree_node=False, default=False)
    keep_kv: bool = struct.field(pytree_node=False, default=False)

    def positions(self, width: int) -> jax.Array:
        """Positions [B, width] int32: 0 at a row's first real token; padding on the left gets 0."""
        start_B = width - self.lengths_B if self.left_padded else jnp.zeros_like(self.lengths_B)
        return jnp.maximum(jnp.arange(width) - start_B[:, None], 0)

    def per_layer(self) -> tuple[Self, None]:
        return self, None

    def attend(self, q_BTHC: jax.Array, k_BTHC: jax.Array, v_BTHC: jax.Array, state: None, cache: KV | None):
        q, k, v = (x.swapaxes(1, 2) for x in (q_BTHC, k_BTHC, v_BTHC))
        steps = jnp.arange(q.shape[2])
        edge_B1 = self.lengths_B[:, None]
        real_BT = steps >= steps.size - edge_B1 if self.left_padded else steps < edge_B1
        mask = (steps[:, None] >= steps) & real_BT[:, None, None, :]
        output = merge([partial_attention(q, k, v, mask)]).astype(q.dtype)
        return output.swapaxes(1, 2), None, KV(k, v) if self.keep_kv else None


@struct.dataclass
class Tree:
    """Rows of one prefix and its branches: a token sees the prefix and its own branch, causally.

    prefix_index_BP, branch_index_BKL: where in the stream each slot's token lies (any value in empty slots);
    prefix_length_B, branch_length_BK: how many slots are filled (0 is allowed);
    grid_index_BT: the slot of each stream token in [P, then K*L] (any value for padding tokens).
    Every real token lies in exactly one slot. Padding tokens get zeros and are seen by nobody.
    """

    prefix_index_BP: jax.Array
    prefix_length_B: jax.Array
    branch_index_BKL: jax.Array
    branch_length_BK: jax.Array
    grid_index_BT: jax.Array

    def per_layer(self) -> tuple[Self, None]:
        return self, None

    def attend(self, q_BTHC: jax.Array, k_BTHC: jax.Array, v_BTHC: jax.Array, state: None, cache: KV | None):
        B, T, H, C = q_BTHC.shape
        P = self.prefix_index_BP.shape[1]
        K, L = self.branch_index_BKL.shape[1:]
        token_BG, slot_BT = self._permutation()
        q, k, v = (
            _take_rows(x.reshape(B, T, H * C), token_BG, slot_BT).reshape(B, -1, H, C).swapaxes(1, 2)
            for x in (q_BTHC, k_BTHC, v_BTHC)
        )
        filled_BP = jnp.arange(P) < self.prefix_length_B[:, None]
        filled_B11P = filled_BP[:, None, None, :]
        prefix = partial_attention(q[:, :, :P], k[:, :, :P], v[:, :, :P], filled_B11P & _causal(P))
        # Branches look at the prefix as one long block of queries, at themselves branch by branch.
        over_prefix = partial_attention(q[:, :, P:], k[:, :, :P], v[:, :, :P], filled_B11P)
        filled_BKL = jnp.arange(L) < self.branch_length_BK[:, :, None]
        q_BHKLC, k_BHKLC, v_BHKLC = (x[:, :, P:].reshape(B, H, K, L, C) for x in (q, k, v))
        seen = filled_BKL[:, None, :, None, :] & _causal(L)
        own = partial_attention(q_BHKLC, k_BHKLC, v_BHKLC, seen)
        own = jax.tree.map(lambda x: x.reshape(B, H, K * L, *x.shape[4:]), own)
        grid = jnp.concatenate([merge([prefix]), merge([over_prefix, own])], axis=2).astype(q.dtype)
        grid_BGX = grid.swapaxes(1, 2).reshape(B, P + K * L, H * C)
        return _take_rows(grid_BGX, slot_BT, token_BG).reshape(B, T, H, C), None, None

    def _permutation(self) -> tuple[jax.Array, jax.Array]:
        """Stream token of each slot [B, G] and slot of each stream token [B, T]; one past the end = none."""
        B, T = self.grid_index_BT.shape
        P, L = self.prefix_index_BP.shape[1], self.branch_index_BKL.shape[2]
        in_prefix = jnp.arange(P) < self.prefix_length_B[:, None]
        in_branch = jnp.arange(L) < self.branch_length_BK[:, :, None]
        token_BG = jnp.concatenate(
            [
                jnp.where(in_prefix, self.prefix_index_BP, T),
                jnp.where(in_branch, self.branch_index_BKL, T).reshape(B, -1),
            ],
            axis=1,
        )
        back_BT = jnp.take_along_axis(token_BG, self.grid_index_BT, axis=1)
        slot_BT = jnp.where(back_BT == jnp.arange(T), self.grid_index_BT, token_BG.shape[1])
        return token_BG, slot_BT


@struct.dataclass
class Cached:
    """Decoding: every row sees one shared prefix, then its own tokens so far, then the new ones causally.

    prefix_kv: KV [layers, H, P, C], `prefix_length` of its slots are filled; own_length_B: filled slots of
    each row's own cache, which is passed to the model as `cache`, KV [layers, B, H, S, C], and comes back
    with the W new tokens at slots own_length .. own_length + W. Rows with fewer new tokens are padded on the
    right: the next step overwrites the padding, provided its own_length counts real tokens only. The caller
    keeps own_length + W <= S for real tokens; what does not fit is not stored.
    """

    prefix_kv: KV
    prefix_length: jax.Array
    own_length_B: jax.Array

    def positions(self, width: int) -> jax.Array:
        """Positions [B, width] int32 of the new tokens."""
        return self.prefix_length + self.own_length_B[:, None] + jnp.arange(width)

    def per_layer(self) -> tuple[Self, tuple[jax.Array, KV]]:
        layers = jnp.arange(self.prefix_kv.k.shape[0])
        return self.replace(prefix_kv=None), (layers, self.prefix_kv)  # type: ignore[attr-defined]

    def attend(
        self,
        q_BWHC: jax.Array,
        k_BWHC: jax.Array,
        v_BWHC: jax.Array,
        state: tuple[jax.Array, KV],
        cache: KV | None,
    ):
        assert cache is not None
        layer, prefix = state
        B, W, H, C = q_BWHC.shape
        slot_BW = self.own_length_B[:, None] + jnp.arange(W)
        row_B1 = jnp.arange(B)[:, None]
        cache = KV(
            cache.k.at[layer, row_B1, :, slot_BW].set(k_BWHC.astype(cache.k.dtype), mode="drop"),
            cache.v.at[layer, row_B1, :, slot_BW].set(v_BWHC.astype(cache.v.dtype), mode="drop"),
        )
        own = jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, layer, keepdims=False), cache)
        # All rows share the prefix, so their queries form one block: a single matmul a head.
        q_HNC = q_BWHC.reshape(B * W, H, C).swapaxes(0, 1)
        filled_P = jnp.arange(prefix.k.shape[1]) < self.prefix_length
        over_prefix = partial_attention(q_HNC, prefix.k, prefix.v, filled_P)
        over_prefix = jax.tree.map(lambda x: x.reshape(H, B, W, *x.shape[2:]).swapaxes(0, 1), over_prefix)
        seen_BWS = jnp.arange(own.k.shape[2]) <= slot_BW[:, :, None]
        over_own = partial_attention(q_BWHC.swapaxes(1, 2), own.k, own.v, seen_BWS[:, None])
        output = merge([over_prefix, over_own]).astype(q_BWHC.dtype)
        return output.swapaxes(1, 2), cache, None


Layout = Causal | Tree | Cached


def _causal(length: int) -> jax.Array:
    steps = jnp.arange(length)
    return steps[:, None] >= steps


@jax.custom_vjp
def _take_rows(x_BMX: jax.Array, index_BN: jax.Array, inverse_BM: jax.Array) -> jax.Array:
    """Rows of x at `index`, zeros where it lies past the end: [B, M, X] -> [B, N, X].

    `index` and `inverse` describe one partial permutation from both sides, so the gradient is a gather as
    well; the scatter that JAX would make of it is slow on CPUs and not deterministic on GPUs.
    """
    return jax.vmap(lambda x, index: x.at[index].get(mode="fill", fill_value=0))(x_BMX, index_BN)


def _take_rows_forward(x_BMX: jax.Array, index_BN: jax.Array, inverse_BM: jax.Array) -> tuple[jax.Array, Any]:
    return _take_rows(x_BMX, index_BN, inverse_BM), (index_BN, inverse_BM)


def _take_rows_backward(residuals: Any, gradient_BNX: jax.Array) -> tuple[jax.Array, None, None]:
    index_BN, inverse_BM = residuals
    return _take_rows(gradient_BNX, inverse_BM, index_BN), None, None


_take_rows.defvjp(_take_rows_forward, _take_rows_backward)
