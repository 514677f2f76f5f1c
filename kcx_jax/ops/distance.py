"""What the distance from a query back to a key does to attention: a window, and ALiBi's bias.

Shapes: G = heads of keys and values, R = query heads of each, Q = queries, S = keys.
"""

from dataclasses import dataclass
from math import floor, log2

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Distance:
    """The rule of a model: nothing at all, as with RoPE alone, unless told otherwise.

    `window`: a query sees only keys less than so many positions back. `slopes`: one per query head, the slope of
    ALiBi's bias, which takes slope * distance off a score (Press et al. 2022).
    """

    window: int | None = None
    slopes: tuple[float, ...] | None = None

    def sees(self, mask: jax.Array, query: jax.Array, key: jax.Array) -> jax.Array:
        """`mask` [..., Q, S] without the keys out of the window; positions broadcast to it as query - key."""
        return mask if self.window is None else mask & (query - key < self.window)

    def bias(
        self, query: jax.Array, key: jax.Array, group: int, dtype: jnp.dtype, inner_axes: int = 0
    ) -> jax.Array | None:
        """What is added to the scores, [..., G, 1 * inner_axes, R, Q, S], or None.

        Positions broadcast as query - key to [..., Q, S] with the inner axes (the branches of a tree) in it; `group`
        is R.
        """
        if self.slopes is None:
            return None
        slopes_GR = jnp.asarray(self.slopes, dtype).reshape(-1, group)
        slopes = jnp.expand_dims(slopes_GR, (*range(1, 1 + inner_axes), inner_axes + 2, inner_axes + 3))
        return slopes * (key - query).astype(dtype)


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """The slopes for `heads` heads: powers of 2^(-8/n) for n heads, n the power of two below or at `heads`; the
    heads beyond it have every second slope of the sequence for 2n.
    """
    power = 2 ** floor(log2(heads))

    def sequence(count: int) -> list[float]:
        return [2 ** (-8 * (i + 1) / count) for i in range(count)]

    return (*sequence(power), *sequence(2 * power)[::2][: heads - power])
