"""How attention sees the stream of tokens: plain rows, trees, or a cache. One strategy object each.

A layout has two methods: `per_layer()` -> (the part all layers share, the part with a leading layer axis),
and `attend(q, k, v, distance, state, cache)` -> (output, cache) for one layer. `distance` is the model's rule
for keys far back; `state` is the layer's slice of the second part; `cache`, the rows' own cache of all layers, goes
from layer to layer and is written in place (cut into layers it would be copied whole in every step of decoding).
Keys and values are stored head-major, so that no step has to transpose a cache.

Shapes: B = rows, T = tokens of a row, H = query heads, G = heads of keys and values, R = query heads of each,
C = channels of a head, P = prefix slots, K = branches, L = slots of a branch, N = P + K*L slots of a grid,
S = slots of a row's own cache, W = new tokens of a step.
"""

from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from kcx_jax.ops.attention import Part, merge, partial_attention
from kcx_jax.ops.backends import Backend, choose, part_maker
from kcx_jax.ops.distance import Distance
from kcx_jax.ops.numerics import statistics_dtype
from kcx_jax.ops.tree_attention import Grid, tree_attention


@struct.dataclass
class KV:
    """Keys (after RoPE) and values: [layers, G, P, C] of a prefix, [layers, B, G, S, C] of rows."""

    k: jax.Array
    v: jax.Array


@struct.dataclass
class Causal:
    """Plain rows: the first `lengths_B` tokens of a row are real, or the last ones if `left_padded`."""

    lengths_B: jax.Array
    left_padded: bool = struct.field(pytree_node=False, default=False)

    def positions(self, width: int) -> jax.Array:
        """Positions [B, width] int32: 0 at a row's first real token; padding on the left gets 0."""
        start_B = width - self.lengths_B if self.left_padded else jnp.zeros_like(self.lengths_B)
        return jnp.maximum(jnp.arange(width) - start_B[:, None], 0)

    def per_layer(self) -> tuple[Self, None]:
        return self, None

    def attend(
        self,
        q_BTHC: jax.Array,
        k_BTGC: jax.Array,
        v_BTGC: jax.Array,
        distance: Distance,
        state: None,
        cache: KV | None,
    ):
        k, v = k_BTGC.swapaxes(1, 2), v_BTGC.swapaxes(1, 2)
        q_BGRTC = _grouped(q_BTHC, k.shape[1])
        steps = jnp.arange(q_BTHC.shape[1])
        edge_B1 = self.lengths_B[:, None]
        real_BT = steps >= steps.size - edge_B1 if self.left_padded else steps < edge_B1
        mask = (steps[:, None] >= steps) & real_BT[:, None, None, None, :]
        part = _part(q_BGRTC, k, v, mask, distance, steps[:, None], steps)
        return _ungrouped(merge([part])).astype(q_BTHC.dtype), cache


@struct.dataclass
class Tree:
    """Rows of one prefix and its branches: a token sees the prefix and its own branch, causally.

    prefix_index_BP, branch_index_BKL: where in the stream each slot's token lies (any value in empty slots);
    prefix_length_B, branch_length_BK: how many slots are filled (0 is allowed);
    grid_index_BT: the slot of each stream token in [P, then K*L] (any value for padding tokens).
    Every real token lies in exactly one slot. Padding tokens get zeros and are seen by nobody. `UsageError` where the
    `backend` that is asked for cannot do it.
    """

    prefix_index_BP: jax.Array
    prefix_length_B: jax.Array
    branch_index_BKL: jax.Array
    branch_length_BK: jax.Array
    grid_index_BT: jax.Array
    backend: Backend = struct.field(pytree_node=False, default="auto")

    def per_layer(self) -> tuple[Self, None]:
        return self, None

    def attend(
        self,
        q_BTHC: jax.Array,
        k_BTGC: jax.Array,
        v_BTGC: jax.Array,
        distance: Distance,
        state: None,
        cache: KV | None,
    ):
        B, T, H, C = q_BTHC.shape
        P = self.prefix_index_BP.shape[1]
        K, L = self.branch_index_BKL.shape[1:]
        token_BN, slot_BT = self._permutation()

        def on_grid(x_BTHC: jax.Array) -> jax.Array:
            heads = x_BTHC.shape[2]
            return _take_rows(x_BTHC.reshape(B, T, heads * C), token_BN, slot_BT).reshape(B, -1, heads, C)

        q, k, v = (on_grid(x) for x in (q_BTHC, k_BTGC, v_BTGC))
        backend = choose(self.backend, q.dtype, C, distance)
        if backend == "xla":
            grid_BNHC = checkpoint_name(self._by_xla(q, k, v, distance), "attention")
        else:
            part = part_maker(backend, distance)
            grid_BNHC = tree_attention(q, k, v, self.prefix_length_B, Grid(P, K, L), part)
        grid_BNX = grid_BNHC.reshape(B, P + K * L, H * C)
        return _take_rows(grid_BNX, slot_BT, token_BN).reshape(B, T, H, C), cache

    def _by_xla(
        self, q_BNHC: jax.Array, k_BNGC: jax.Array, v_BNGC: jax.Array, distance: Distance
    ) -> jax.Array:
        """Attention of all slots of the grid, [B, N, H, C] in q's dtype."""
        B, _, H, C = q_BNHC.shape
        P = self.prefix_index_BP.shape[1]
        K, L = self.branch_index_BKL.shape[1:]
        k, v = (x.swapaxes(1, 2) for x in (k_BNGC, v_BNGC))
        G = k.shape[1]
        q_BGRNC = _grouped(q_BNHC, G)
        filled_BP = jnp.arange(P) < self.prefix_length_B[:, None]
        filled_BxP = filled_BP[:, None, None, None, :]
        in_prefix, in_branch = jnp.arange(P), jnp.arange(L)
        k_prefix, v_prefix = k[:, :, :P], v[:, :, :P]
        prefix = _part(
            q_BGRNC[:, :, :, :P],
            k_prefix,
            v_prefix,
            filled_BxP & _causal(P),
            distance,
            in_prefix[:, None],
            in_prefix,
        )
        # Branches look at the prefix as one long block of queries, at themselves branch by branch.
        position_BX1 = self.prefix_length_B[:, None, None] + jnp.tile(in_branch, K)[:, None]
        over_prefix = _part(
            q_BGRNC[:, :, :, P:],
            k_prefix,
            v_prefix,
            filled_BxP,
            distance,
            position_BX1[:, None, None],
            in_prefix,
        )
        q_BGKRLC = q_BGRNC[:, :, :, P:].reshape(B, G, H // G, K, L, C).swapaxes(2, 3)
        k_BGKLC, v_BGKLC = (x[:, :, P:].reshape(B, G, K, L, C) for x in (k, v))
        filled_BKL = in_branch < self.branch_length_BK[:, :, None]
        seen = filled_BKL[:, None, :, None, None, :] & _causal(L)
        own = _part(q_BGKRLC, k_BGKLC, v_BGKLC, seen, distance, in_branch[:, None], in_branch, inner_axes=1)
        own = jax.tree.map(lambda x: x.swapaxes(2, 3).reshape(B, G, H // G, K * L, *x.shape[5:]), own)
        grid_BNHC = _ungrouped(jnp.concatenate([merge([prefix]), merge([over_prefix, own])], axis=3))
        return grid_BNHC.astype(q_BNHC.dtype)

    def _permutation(self) -> tuple[jax.Array, jax.Array]:
        """Stream token of each slot [B, N] and slot of each stream token [B, T]; one past the end = none."""
        B, T = self.grid_index_BT.shape
        P, L = self.prefix_index_BP.shape[1], self.branch_index_BKL.shape[2]
        in_prefix = jnp.arange(P) < self.prefix_length_B[:, None]
        in_branch = jnp.arange(L) < self.branch_length_BK[:, :, None]
        token_BN = jnp.concatenate(
            [
                jnp.where(in_prefix, self.prefix_index_BP, T),
                jnp.where(in_branch, self.branch_index_BKL, T).reshape(B, -1),
            ],
            axis=1,
        )
        back_BT = jnp.take_along_axis(token_BN, self.grid_index_BT, axis=1)
        slot_BT = jnp.where(back_BT == jnp.arange(T), self.grid_index_BT, token_BN.shape[1])
        return token_BN, slot_BT


@struct.dataclass
class Cached:
    """Decoding: every row sees one shared prefix, then its own tokens so far, then the new ones causally.

    prefix_kv: KV [layers, G, P, C], or lists of each layer's [G, P, C], with `prefix_length` slots filled;
    own_length_B: filled slots of each row's own cache, which is passed to the model as `cache`, KV
    [layers, B, G, S, C], and comes back with the W new tokens at slots own_length .. own_length + W. Rows with
    fewer new tokens are padded on the right: the next step overwrites the padding, provided its own_length counts
    real tokens only. The caller keeps own_length + W <= S for real tokens; what does not fit is not stored.
    """

    prefix_kv: KV
    prefix_length: jax.Array
    own_length_B: jax.Array

    def positions(self, width: int) -> jax.Array:
        """Positions [B, width] int32 of the new tokens."""
        return self.prefix_length + self.own_length_B[:, None] + jnp.arange(width)

    def per_layer(self) -> tuple[Self, tuple[jax.Array, KV]]:
        layers = jnp.arange(len(self.prefix_kv.k))
        return self.replace(prefix_kv=None), (layers, self.prefix_kv)  # type: ignore[attr-defined]

    def attend(
        self,
        q_BWHC: jax.Array,
        k_BWGC: jax.Array,
        v_BWGC: jax.Array,
        distance: Distance,
        state: tuple[jax.Array, KV],
        cache: KV | None,
    ):
        assert cache is not None
        layer, prefix = state
        B, W, H, C = q_BWHC.shape
        slot_BW = self.own_length_B[:, None] + jnp.arange(W)
        row_B1 = jnp.arange(B)[:, None]
        cache = KV(
            cache.k.at[layer, row_B1, :, slot_BW].set(k_BWGC.astype(cache.k.dtype), mode="drop"),
            cache.v.at[layer, row_B1, :, slot_BW].set(v_BWGC.astype(cache.v.dtype), mode="drop"),
        )
        own = jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, layer, keepdims=False), cache)
        G, P = prefix.k.shape[:2]
        # All rows share the prefix, so their queries form one block: a single matmul a head.
        q_GRXC = _grouped(q_BWHC.reshape(1, B * W, H, C), G)[0]
        in_prefix = jnp.arange(P)
        position_X1 = (self.prefix_length + slot_BW).reshape(-1, 1)
        over_prefix = _part(
            q_GRXC, prefix.k, prefix.v, in_prefix < self.prefix_length, distance, position_X1, in_prefix
        )
        over_prefix = jax.tree.map(
            lambda x: jnp.moveaxis(x.reshape(G, H // G, B, W, *x.shape[3:]), 2, 0), over_prefix
        )
        in_own = jnp.arange(own.k.shape[2])
        slot_BxW1 = slot_BW[:, None, None, :, None]
        over_own = _part(_grouped(q_BWHC, G), own.k, own.v, in_own <= slot_BxW1, distance, slot_BxW1, in_own)
        return _ungrouped(merge([over_prefix, over_own])).astype(q_BWHC.dtype), cache


Layout = Causal | Tree | Cached


def _grouped(q_BTHC: jax.Array, kv_heads: int) -> jax.Array:
    """Query heads by the head of keys they share: [B, G, R, T, C]."""
    B, T, H, C = q_BTHC.shape
    return jnp.moveaxis(q_BTHC.reshape(B, T, kv_heads, H // kv_heads, C), 1, 3)


def _ungrouped(x_BGRTC: jax.Array) -> jax.Array:
    """The way back from `_grouped`: [B, T, H, C]."""
    B, G, R, T, C = x_BGRTC.shape
    return jnp.moveaxis(x_BGRTC, 3, 1).reshape(B, T, G * R, C)


def _part(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array,
    distance: Distance,
    query: jax.Array,
    key: jax.Array,
    inner_axes: int = 0,
) -> Part:
    """`partial_attention` of a model whose `distance` rule looks at the positions of queries and keys."""
    bias = distance.bias(query, key, q.shape[-3], statistics_dtype(q.dtype), inner_axes)
    return partial_attention(q, k, v, distance.sees(mask, query, key), bias)


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
