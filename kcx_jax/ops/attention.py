"""Attention over several sets of keys, exact: each set gives an unnormalised part, the parts are merged.

Query heads come in groups that share one head of keys and values (grouped-query attention; groups of one in the
plain kind).

Shapes: ... = any leading batch axes (rows, heads of keys, branches), R = query heads of a group, Q = queries,
S = keys, C = channels of a head.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.ops.numerics import statistics_dtype

# Finite, so that a query without any key gives zeros and not NaN, in values and in gradients.
_MASKED = -1e30
_LOWEST_TOP = -1e29


class Part(NamedTuple):
    """What one set of keys adds to a softmax, relative to its highest score `top`."""

    output: jax.Array  # [..., R, Q, C], sum of exp(score - top) * value
    total: jax.Array  # [..., R, Q], sum of exp(score - top)
    top: jax.Array  # [..., R, Q], a constant to gradients: the merged result does not depend on it


def partial_attention(
    q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array, bias: jax.Array | None = None
) -> Part:
    """Attention of q [..., R, Q, C] to keys and values [..., S, C].

    `mask` (true = seen) and `bias`, which is added to the scores, broadcast to [..., R, Q, S]. Scores and sums are
    float32 (float64 for float64 inputs); weights are rounded to v's dtype for the matmul.
    """
    wide = statistics_dtype(q.dtype)
    scores = jnp.einsum("...rqc,...sc->...rqs", q, k, preferred_element_type=wide) * q.shape[-1] ** -0.5
    if bias is not None:
        scores += bias
    scores = jnp.where(mask, scores, _MASKED)
    top = lax.stop_gradient(jnp.max(scores, axis=-1, initial=_LOWEST_TOP))
    weights = jnp.exp(scores - top[..., None])
    output = jnp.einsum("...rqs,...sc->...rqc", weights.astype(v.dtype), v, preferred_element_type=wide)
    return Part(output, jnp.sum(weights, axis=-1), top)


def merge(parts: Sequence[Part]) -> jax.Array:
    """Attention over the union of the parts' keys, [..., R, Q, C] in float32; zeros for a query without keys."""
    top = reduce(jnp.maximum, [part.top for part in parts])
    scales = [jnp.exp(part.top - top) for part in parts]
    total = sum(scale * part.total for scale, part in zip(scales, parts, strict=True))
    output = sum(scale[..., None] * part.output for scale, part in zip(scales, parts, strict=True))
    return output / jnp.where(total == 0, 1, total)[..., None]
