"""A tree's attention by fused kernels: three parts, two of them merged, with a gradient of its own.

The parts are the prefix over itself (causal), the branches over the prefix (all of it), each branch over itself
(causal). The softmaxes of the last two are merged by their log-sum-exp. The backward pass gives every part the
*merged* output and log-sum-exp, from which its share of the one softmax is computed again: no probabilities are kept,
and no kernel's log-sum-exp is differentiated.

Shapes: B = rows, N = P + K*L slots of a grid, P = prefix slots, K = branches, L = slots of a branch, H = query heads,
G = heads of keys and values, C = channels of a head, T = queries, S = keys.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name


class Part(Protocol):
    """Attention to one set of keys, and its share of the gradient of a softmax over several sets."""

    def forward(self, q_BTHC: jax.Array, k_BSGC: jax.Array, v_BSGC: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(Output [B, T, H, C], log-sum-exp of the scores [B, T, H], float32 or wider), both finite."""
        ...

    def backward(
        self,
        q_BTHC: jax.Array,
        k_BSGC: jax.Array,
        v_BSGC: jax.Array,
        out_BTHC: jax.Array,
        lse_BTH: jax.Array,
        d_out_BTHC: jax.Array,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """This part's share of the gradients by q, k and v; `out` and `lse` are those of the whole softmax."""
        ...


PartMaker = Callable[[jax.Array | None, jax.Array], Part]


class Grid(NamedTuple):
    """Sizes of a grid: P, K, L."""

    prefix: int
    branches: int
    branch: int


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def tree_attention(
    q_BNHC: jax.Array,
    k_BNGC: jax.Array,
    v_BNGC: jax.Array,
    prefix_length_B: jax.Array,
    grid: Grid,
    part: PartMaker,
) -> jax.Array:
    """Attention of all slots of a grid, [B, N, H, C] in q's dtype.

    `part` makes a part that is causal (None) or sees so many keys of each row, for queries at the given positions (the
    keys are at 0, 1, 2, ...). Real slots come first in the prefix and
    in each branch, so causality hides empty ones from them; what empty slots get is finite and means nothing.
    """
    return _forward(q_BNHC, k_BNGC, v_BNGC, prefix_length_B, grid, part)[0]


def _forward(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    prefix_length_B: jax.Array,
    grid: Grid,
    part: PartMaker,
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    (q_prefix, q_branches), (k_prefix, k_branches), (v_prefix, v_branches) = (
        _cut(x, grid) for x in (q, k, v)
    )
    over_itself, over_prefix, over_own = _parts(part, prefix_length_B, grid)
    out_prefix, lse_prefix = over_itself.forward(q_prefix, k_prefix, v_prefix)
    out_over, lse_over = over_prefix.forward(q_branches, k_prefix, v_prefix)
    out_own, lse_own = over_own.forward(*(_each(x, grid) for x in (q_branches, k_branches, v_branches)))
    out_own, lse_own = _together(out_own, grid), _together(lse_own, grid)
    lse = jnp.logaddexp(lse_over, lse_own)
    share_over, share_own = (jnp.exp(x - lse)[..., None] for x in (lse_over, lse_own))
    merged = (share_over * out_over + share_own * out_own).astype(q.dtype)
    out = jnp.concatenate([out_prefix.astype(q.dtype), merged], axis=1)
    # Named here, where the backward pass looks for them: with a policy that keeps them nothing is computed twice.
    out, lse_prefix, lse = (checkpoint_name(x, "attention") for x in (out, lse_prefix, lse))
    return out, (q, k, v, prefix_length_B, out, lse_prefix, lse)


def _backward(
    grid: Grid, part: PartMaker, kept: tuple[jax.Array, ...], d_out: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    *arrays, prefix_length_B, out, lse_prefix, lse = kept
    cut = [_cut(x, grid) for x in (*arrays, out, d_out)]
    q_prefix, k_prefix, v_prefix, out_prefix, d_prefix = (prefix for prefix, _ in cut)
    q_branches, _, _, out_branches, d_branches = branches = [branch for _, branch in cut]
    own = [_each(x, grid) for x in (*branches[:4], lse, d_branches)]
    over_itself, over_prefix, over_own = _parts(part, prefix_length_B, grid)
    dq_prefix, *dkv_prefix = over_itself.backward(
        q_prefix, k_prefix, v_prefix, out_prefix, lse_prefix, d_prefix
    )
    dq_over, *dkv_over = over_prefix.backward(q_branches, k_prefix, v_prefix, out_branches, lse, d_branches)
    dq_own, *dkv_own = (_together(x, grid) for x in over_own.backward(*own))
    dq = jnp.concatenate([dq_prefix, dq_over + dq_own], axis=1)
    dk, dv = (
        jnp.concatenate([prefix + over, own], axis=1)
        for prefix, over, own in zip(dkv_prefix, dkv_over, dkv_own, strict=True)
    )
    return dq, dk, dv, None


tree_attention.defvjp(_forward, _backward)


def _parts(part: PartMaker, prefix_length_B: jax.Array, grid: Grid) -> tuple[Part, Part, Part]:
    """The prefix over itself, the branches over the prefix, each branch over itself."""
    in_prefix, in_branch = jnp.arange(grid.prefix)[None], jnp.arange(grid.branch)[None]
    behind_prefix = prefix_length_B[:, None] + jnp.tile(in_branch, grid.branches)
    return part(None, in_prefix), part(prefix_length_B, behind_prefix), part(None, in_branch)


def _cut(x_BN: jax.Array, grid: Grid) -> tuple[jax.Array, jax.Array]:
    """The prefix's slots [B, P, ...] and those of all branches [B, K*L, ...]."""
    return x_BN[:, : grid.prefix], x_BN[:, grid.prefix :]


def _each(x: jax.Array, grid: Grid) -> jax.Array:
    """Branches as rows: [B, K*L, ...] -> [B*K, L, ...]."""
    return x.reshape(-1, grid.branch, *x.shape[2:])


def _together(x: jax.Array, grid: Grid) -> jax.Array:
    """The way back from `_each`."""
    return x.reshape(-1, grid.branches * grid.branch, *x.shape[2:])
