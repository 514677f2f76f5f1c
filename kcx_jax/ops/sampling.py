"""Choosing the next token: repetition penalty, then temperature, top-k and top-p, then the draw.

Shapes: B = rows, V = vocabulary.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kcx_jax.errors import UsageError

_NEVER = -jnp.inf


@dataclass(frozen=True)
class Sampling:
    """How to choose; the default takes the likeliest token.

    `temperature` 0 draws nothing, `top_k` keeps the k likeliest tokens (and their equals), `top_p` the fewest whose
    probabilities reach p. `repetition_penalty` divides the positive scores of tokens that were there before, and
    multiplies the negative ones (Keskar et al. 2019). `UsageError` if invalid.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise UsageError(f"temperature must be zero or more, found {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top_k must be at least 1, found {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"top_p must be above 0 and at most 1, found {self.top_p}.")
        if not self.repetition_penalty > 0:
            raise UsageError(f"repetition_penalty must be positive, found {self.repetition_penalty}.")

    @property
    def remembers(self) -> bool:
        """Whether it matters which tokens were there before."""
        return self.repetition_penalty != 1.0


def choose(scores_BV: jax.Array, seen_BV: jax.Array | None, sampling: Sampling, key: jax.Array) -> jax.Array:
    """The next token of each row, [B] int32; `seen_BV` as in `distribution`."""
    if sampling.temperature == 0:
        return jnp.argmax(_penalised(scores_BV, seen_BV, sampling), axis=-1).astype(jnp.int32)
    return jax.random.categorical(key, distribution(scores_BV, seen_BV, sampling)).astype(jnp.int32)


def distribution(scores_BV: jax.Array, seen_BV: jax.Array | None, sampling: Sampling) -> jax.Array:
    """Log-probabilities [B, V] in float32 that tokens are drawn from; -inf for those left out.

    `seen_BV` is true for the tokens that were there before (needed where `sampling.remembers`).
    """
    scores_BV = _penalised(scores_BV, seen_BV, sampling) / (sampling.temperature or 1.0)
    if sampling.top_k is not None and sampling.top_k < scores_BV.shape[-1]:
        least_B1 = jax.lax.top_k(scores_BV, sampling.top_k)[0][:, -1:]
        scores_BV = jnp.where(scores_BV < least_B1, _NEVER, scores_BV)
    if sampling.top_p is not None:
        scores_BV = _within_top_p(scores_BV, sampling.top_p)
    return jax.nn.log_softmax(scores_BV, axis=-1)


def _penalised(scores_BV: jax.Array, seen_BV: jax.Array | None, sampling: Sampling) -> jax.Array:
    scores_BV = scores_BV.astype(jnp.float32)
    if not sampling.remembers or seen_BV is None:
        return scores_BV
    penalty = sampling.repetition_penalty
    return jnp.where(seen_BV, jnp.where(scores_BV > 0, scores_BV / penalty, scores_BV * penalty), scores_BV)


def _within_top_p(scores_BV: jax.Array, top_p: float) -> jax.Array:
    """A token stays while those likelier than it do not reach `top_p`; the likeliest always does."""
    order_BV = jnp.argsort(-scores_BV, axis=-1)
    probability_BV = jax.nn.softmax(jnp.take_along_axis(scores_BV, order_BV, axis=-1), axis=-1)
    before_BV = jnp.cumsum(probability_BV, axis=-1) - probability_BV
    back_BV = jnp.argsort(order_BV, axis=-1)
    kept_BV = jnp.take_along_axis((before_BV < top_p).at[:, 0].set(True), back_BV, axis=-1)
    return jnp.where(kept_BV, scores_BV, _NEVER)
