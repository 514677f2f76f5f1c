"""One part of a softmax over several sets of keys, by kernels of our own in Pallas (Triton on NVIDIA GPUs).

The arithmetic is that of `blockwise`, a block of queries by a block of keys at a time; on anything but a GPU the
kernels are interpreted, which is for tests. Nothing here was timed.

Shapes: B = rows, T = queries, S = keys, H = query heads, G = heads of keys and values, R = query heads of each,
C = channels of a head; X = queries of a block, Z = keys of a block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from kcx_jax.ops.blockwise import LOWEST_TOP, MASKED
from kcx_jax.ops.distance import Distance
from kcx_jax.ops.numerics import statistics_dtype

_BLOCK = 64


@dataclass(frozen=True)
class PallasPart:
    """As `BlockwisePart`."""

    length_B: jax.Array | None
    position_BT: jax.Array
    distance: Distance
    block: int = _BLOCK

    def forward(self, q_BTHC: jax.Array, k_BSGC: jax.Array, v_BSGC: jax.Array) -> tuple[jax.Array, jax.Array]:
        queries = q_BTHC.shape[1]
        wide = statistics_dtype(q_BTHC.dtype)
        inputs = self._inputs(q_BTHC, k_BSGC, v_BSGC)
        B, T, H, C = inputs[3].shape
        out, lse = self._run(
            _forward_kernel,
            (T // self.block, B, H),
            inputs,
            [self._query_block(C), self._statistic_block()],
            [jax.ShapeDtypeStruct((B, T, H, C), q_BTHC.dtype), jax.ShapeDtypeStruct((B, T, H), wide)],
            self._specs(q_BTHC, k_BSGC, by_query=True),
        )
        return out[:, :queries], lse[:, :queries]

    def backward(
        self,
        q_BTHC: jax.Array,
        k_BSGC: jax.Array,
        v_BSGC: jax.Array,
        out_BTHC: jax.Array,
        lse_BTH: jax.Array,
        d_out_BTHC: jax.Array,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        queries, keys = q_BTHC.shape[1], k_BSGC.shape[1]
        wide = statistics_dtype(q_BTHC.dtype)
        overlap_BTH = jnp.sum(out_BTHC.astype(wide) * d_out_BTHC, axis=-1)
        inputs = self._inputs(q_BTHC, k_BSGC, v_BSGC)
        # With such a log-sum-exp, queries that only fill up a block have no share in anything.
        lse_BTH = _padded(lse_BTH.astype(wide), self.block, -MASKED)
        more = (
            lse_BTH,
            _padded(overlap_BTH, self.block),
            _padded(d_out_BTHC.astype(q_BTHC.dtype), self.block),
        )
        B, T, H, C = inputs[3].shape
        S, G = inputs[4].shape[1:3]
        (dq,) = self._run(
            _dq_kernel,
            (T // self.block, B, H),
            (*inputs, *more),
            [self._query_block(C)],
            [jax.ShapeDtypeStruct((B, T, H, C), q_BTHC.dtype)],
            [
                *self._specs(q_BTHC, k_BSGC, by_query=True),
                *(self._statistic_block(), self._statistic_block(), self._query_block(C)),
            ],
        )
        whole = pl.BlockSpec((None, T, None), lambda i, b, h: (b, 0, h))
        dk, dv = self._run(
            _dkv_kernel,
            (S // self.block, B, H),
            (*inputs, *more),
            [self._query_block(C)] * 2,  # a block of keys, of each query head
            [jax.ShapeDtypeStruct((B, S, H, C), wide)] * 2,
            [
                *self._specs(q_BTHC, k_BSGC, by_query=False),
                *(whole, whole, pl.BlockSpec((None, T, None, C), lambda i, b, h: (b, 0, h, 0))),
            ],
        )
        dk, dv = (x.reshape(B, S, G, H // G, C).sum(3)[:, :keys].astype(k_BSGC.dtype) for x in (dk, dv))
        return dq[:, :queries], dk, dv

    def _inputs(self, q_BTHC: jax.Array, k_BSGC: jax.Array, v_BSGC: jax.Array) -> tuple[jax.Array, ...]:
        """Lengths [B], slopes [H], positions [B, T], and q, k and v in whole blocks."""
        rows, heads = q_BTHC.shape[0], q_BTHC.shape[2]
        keys = jnp.full(rows, k_BSGC.shape[1]) if self.length_B is None else self.length_B
        slopes = jnp.asarray(self.distance.slopes or (0.0,) * heads, statistics_dtype(q_BTHC.dtype))
        position_BT = jnp.broadcast_to(self.position_BT, q_BTHC.shape[:2]).astype(jnp.int32)
        arrays = (position_BT, q_BTHC, k_BSGC, v_BSGC)
        return (keys.astype(jnp.int32), slopes, *(_padded(x, self.block) for x in arrays))

    def _specs(self, q_BTHC: jax.Array, k_BSGC: jax.Array, by_query: bool) -> list[pl.BlockSpec]:
        """How a program sees `_inputs`: one block of queries and all keys, or all queries and one block of keys."""
        group = q_BTHC.shape[2] // k_BSGC.shape[2]
        C = q_BTHC.shape[3]
        T, S = (-(-x.shape[1] // self.block) * self.block for x in (q_BTHC, k_BSGC))
        X, Z = (self.block, S) if by_query else (T, self.block)

        def place(block: bool, heads: int) -> Callable[..., tuple]:
            return lambda i, b, h: (b, i if block else 0, h // heads, 0)

        keys = pl.BlockSpec((None, Z, None, C), place(not by_query, group))
        return [
            pl.BlockSpec((1,), lambda i, b, h: (b,)),
            pl.BlockSpec((1,), lambda i, b, h: (h,)),
            pl.BlockSpec((None, X), lambda i, b, h: (b, i if by_query else 0)),
            pl.BlockSpec((None, X, None, C), place(by_query, 1)),
            keys,
            keys,
        ]

    def _query_block(self, channels: int) -> pl.BlockSpec:
        return pl.BlockSpec((None, self.block, None, channels), lambda i, b, h: (b, i, h, 0))

    def _statistic_block(self) -> pl.BlockSpec:
        return pl.BlockSpec((None, self.block, None), lambda i, b, h: (b, i, h))

    def _run(
        self,
        kernel: Callable[..., None],
        grid: tuple[int, int, int],
        inputs: tuple[jax.Array, ...],
        out_specs: list[pl.BlockSpec],
        out_shape: list[jax.ShapeDtypeStruct],
        in_specs: list[pl.BlockSpec],
    ) -> Any:
        return pl.pallas_call(
            partial(kernel, block=self.block, window=self.distance.window),
            grid=grid,
            in_specs=in_specs,
            out_specs=out_specs,
            out_shape=out_shape,
            compiler_params=triton.CompilerParams(num_warps=4, num_stages=2),
            interpret=jax.default_backend() != "gpu",
        )(*inputs)


def _padded(x_BT: jax.Array, block: int, value: float = 0) -> jax.Array:
    """Whole blocks along the second axis."""
    widths = [(0, 0), (0, -x_BT.shape[1] % block)] + [(0, 0)] * (x_BT.ndim - 2)
    return jnp.pad(x_BT, widths, constant_values=value)


def _scores(
    q_XC: jax.Array,
    k_ZC: jax.Array,
    position_X: jax.Array,
    first_key: jax.Array,
    length: jax.Array,
    slope: jax.Array,
    window: int | None,
) -> tuple[jax.Array, jax.Array]:
    """Scores of a block of queries for a block of keys, and which of them count, [X, Z]."""
    key_1Z = (first_key + jnp.arange(k_ZC.shape[0], dtype=jnp.int32))[None, :]
    query_X1 = position_X[:, None]
    scores = _dot(q_XC, k_ZC.T, slope.dtype) * q_XC.shape[-1] ** -0.5
    scores += slope * (key_1Z - query_X1).astype(slope.dtype)
    seen = Distance(window).sees((key_1Z < length) & (key_1Z <= query_X1), query_X1, key_1Z)
    return jnp.where(seen, scores, MASKED), seen


def _dot(a: jax.Array, b: jax.Array, wide: jnp.dtype) -> jax.Array:
    return jnp.dot(a, b, preferred_element_type=wide)


def _blocks_seen(position_X: jax.Array, length: jax.Array, block: int) -> jax.Array:
    """How many blocks of keys a block of queries looks at."""
    last = jnp.minimum(length, jnp.max(position_X) + 1)
    return lax.div(last + jnp.int32(block - 1), jnp.int32(block))


def _forward_kernel(length, slope, position, q, k, v, out, lse, *, block: int, window: int | None) -> None:
    positions, queries, wide = position[...], q[...], slope.dtype

    def step(number: jax.Array, carry: tuple) -> tuple:
        sums, total, top = carry
        keys = pl.ds(number * block, block)
        scores, _ = _scores(queries, k[keys, :], positions, number * block, length[0], slope[0], window)
        new_top = jnp.maximum(top, jnp.max(scores, axis=-1))
        weights, kept = jnp.exp(scores - new_top[:, None]), jnp.exp(top - new_top)
        values = v[keys, :]
        sums = sums * kept[:, None] + _dot(weights.astype(values.dtype), values, wide)
        return sums, total * kept + jnp.sum(weights, axis=-1), new_top

    nothing = jnp.zeros(positions.shape, wide)
    start = (jnp.zeros(queries.shape, wide), nothing, nothing + LOWEST_TOP)
    sums, total, top = lax.fori_loop(0, _blocks_seen(positions, length[0], block), step, start)
    some = total > 0
    divisor = jnp.where(some, total, 1)
    out[...] = (sums / divisor[:, None]).astype(out.dtype)
    lse[...] = jnp.where(some, top + jnp.log(divisor), MASKED)


def _dq_kernel(
    length, slope, position, q, k, v, lse, overlap, d_out, dq, *, block: int, window: int | None
) -> None:
    positions, queries, gradient, wide = position[...], q[...], d_out[...], slope.dtype
    lse_X1, overlap_X1 = lse[...][:, None], overlap[...][:, None]

    def step(number: jax.Array, sums: jax.Array) -> jax.Array:
        keys = pl.ds(number * block, block)
        own = k[keys, :]
        scores, seen = _scores(queries, own, positions, number * block, length[0], slope[0], window)
        shares = jnp.where(seen, jnp.exp(scores - lse_X1), 0)
        d_scores = shares * (_dot(gradient, v[keys, :].T, wide) - overlap_X1)
        return sums + _dot(d_scores.astype(own.dtype), own, wide)

    blocks = _blocks_seen(positions, length[0], block)
    sums = lax.fori_loop(0, blocks, step, jnp.zeros(queries.shape, wide))
    dq[...] = (sums * queries.shape[-1] ** -0.5).astype(dq.dtype)


def _dkv_kernel(
    length, slope, position, q, k, v, lse, overlap, d_out, dk, dv, *, block: int, window: int | None
) -> None:
    own, values, wide = k[...], v[...], slope.dtype
    first_key = pl.program_id(0) * block

    def step(number: jax.Array, sums: tuple) -> tuple:
        at = pl.ds(number * block, block)
        queries, gradient = q[at, :], d_out[at, :]
        scores, seen = _scores(queries, own, position[at], first_key, length[0], slope[0], window)
        shares = jnp.where(seen, jnp.exp(scores - lse[at][:, None]), 0)
        d_scores = shares * (_dot(gradient, values.T, wide) - overlap[at][:, None])
        dk, dv = sums
        dk += _dot(d_scores.astype(queries.dtype).T, queries, wide)
        return dk, dv + _dot(shares.astype(gradient.dtype).T, gradient, wide)

    nothing = jnp.zeros(own.shape, wide)
    sums_k, sums_v = lax.fori_loop(0, position.shape[0] // block, step, (nothing, nothing))
    dk[...] = sums_k * own.shape[-1] ** -0.5
    dv[...] = sums_v
