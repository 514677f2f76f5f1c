"""Rotary position embedding in the half-rotation form (channel i is paired with i + C/2).

Shapes: B = rows, T = tokens of a row, H = heads, C = channels of a head.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Rotation(NamedTuple):
    """Cosines and sines of the angles of each token, [B, T, 1, C/2] in float32."""

    cos: jax.Array
    sin: jax.Array


def rotation(positions_BT: jax.Array, head_dim: int, theta: float, dtype: jnp.dtype) -> Rotation:
    """Angles position * theta^(-2i/C) for i < C/2, computed in `dtype` (float32 or wider)."""
    exponents = jnp.arange(0, head_dim, 2, dtype=dtype) / head_dim
    angles = positions_BT[..., None].astype(dtype) * (theta**-exponents)
    return Rotation(jnp.cos(angles)[:, :, None, :], jnp.sin(angles)[:, :, None, :])


def rotate(x_BTHC: jax.Array, by: Rotation) -> jax.Array:
    """Rotate queries or keys in the rotation's dtype and round back to their own."""
    first, second = jnp.split(x_BTHC.astype(by.cos.dtype), 2, axis=-1)
    turned = jnp.concatenate([first * by.cos - second * by.sin, second * by.cos + first * by.sin], axis=-1)
    return turned.astype(x_BTHC.dtype)
