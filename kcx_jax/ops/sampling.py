"""Choosing the next token: penalties, then temperature, top-k, top-p and min-p, then the draw.

A draw takes the token whose score and noise are highest (Gumbel-max). The noise of a token depends on seed, request,
position and token only, so that an answer does not depend on what else is decoded, nor on how many tokens at once.

Shapes: ... = any leading axes, X = tokens to choose among (some, or the vocabulary), V = vocabulary,
B = rows, T = tokens of a row.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kcx_jax.errors import UsageError

_NEVER = -jnp.inf
_LARGEST = 1e30  # of numbers that are given, and of scores that may be chosen: far inside float32
_COLDEST = 1e-6  # of temperatures; colder ones draw the likeliest token, and scores overflow
READ, WRITTEN = 1, 2
"""Bits of a token that stood in the prompt; in the answer so far."""
# What the numbers of a `Sampling` must be: their kind, whether one fits, and the same in words.
_NUMBERS: dict[str, tuple[type, Callable[[Any], bool], str]] = {
    "temperature": (Real, lambda x: 0 <= x <= _LARGEST, "a number, zero or more"),
    "top_k": (Integral, lambda x: x >= 1, "a whole number, at least 1"),
    "top_p": (Real, lambda x: 0 < x <= 1, "a number above 0 and at most 1"),
    "min_p": (Real, lambda x: 0 <= x <= 1, "a number from 0 to 1"),
    "repetition_penalty": (Real, lambda x: 1 / _LARGEST <= x <= _LARGEST, "a positive number"),
    "presence_penalty": (Real, lambda x: abs(x) <= _LARGEST, "a number"),
    "seed": (Integral, lambda x: 0 <= x < 1 << 32, "a whole number of at most 32 bits, without a sign"),
}
_OPTIONAL = "top_k", "top_p", "min_p"


@dataclass(frozen=True)
class Sampling:
    """How to choose; the default takes the likeliest token.

    `temperature` 0 draws nothing, and below 1e-6 it is 0. `top_k` keeps the k likeliest tokens, `top_p` the fewest
    whose probabilities reach p, `min_p` those with at least this share of the likeliest one's probability; each with
    their equals.
    `repetition_penalty` divides the positive scores of tokens of prompt and answer, and multiplies the negative ones
    (Keskar et al. 2019); `presence_penalty` is taken from the scores of tokens of the answer. `logit_bias` is added to
    the scores of its (token id, bias). `seed` goes with the requests' numbers. `UsageError` if invalid.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (kind, fits, what) in _NUMBERS.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if not isinstance(value, kind) or not fits(value):
                raise UsageError(f"{name} must be {what}, found {value!r}.")
        if self.temperature < _COLDEST:
            object.__setattr__(self, "temperature", 0.0)
        object.__setattr__(self, "logit_bias", _pairs(self.logit_bias))

    @property
    def changes_scores(self) -> bool:
        """Whether another token may be the likeliest one."""
        return self.remembers or bool(self.logit_bias)

    @property
    def remembers(self) -> bool:
        """Whether it matters which tokens were there before."""
        return self.repetition_penalty != 1.0 or self.presence_penalty != 0.0

    def sampler(self, vocabulary: int) -> "Sampler":
        """Its numbers as arrays; what it does not do is None. `UsageError` for a bias outside the vocabulary."""
        bias_V = None
        if self.logit_bias:
            tokens, biases = zip(*self.logit_bias, strict=True)
            if max(tokens) >= vocabulary:
                raise UsageError(f"logit_bias names token {max(tokens)}; the vocabulary has {vocabulary}.")
            bias_V = jnp.zeros(vocabulary).at[jnp.array(tokens)].set(jnp.array(biases))
        drawn = self.temperature > 0
        return Sampler(
            repetition=jnp.float32(self.repetition_penalty) if self.remembers else None,
            presence=jnp.float32(self.presence_penalty) if self.remembers else None,
            bias_V=bias_V,
            temperature=jnp.float32(self.temperature) if drawn else None,
            top_k=None if self.top_k is None or not drawn else jnp.int32(min(self.top_k, vocabulary)),
            top_p=None if self.top_p is None or not drawn else jnp.float32(self.top_p),
            min_p=None if self.min_p is None or not drawn else jnp.float32(self.min_p),
            key=jax.random.key(self.seed) if drawn else None,
        )


def _pairs(given: Any) -> tuple[tuple[int, float], ...]:
    """The pairs of a bias, from pairs or a mapping. Raises `UsageError` for what is neither, and for a token twice."""
    try:
        pairs = given.items() if isinstance(given, Mapping) else given
        found = tuple((operator.index(token), float(bias)) for token, bias in pairs)
    except (TypeError, ValueError) as error:
        raise UsageError(f"logit_bias must be pairs of a token id and a number, found {given!r}.") from error
    if not all(token >= 0 and abs(bias) <= _LARGEST for token, bias in found):
        raise UsageError("logit_bias must be pairs of a token id and a number.")
    if len(dict(found)) < len(found):
        raise UsageError(f"logit_bias names a token twice: leave it one bias of {given!r}.")
    return found


GREEDY = Sampling()


class Sampler(NamedTuple):
    """A `Sampling` on the device: scalars, and a bias of each token; None for what is not done."""

    repetition: jax.Array | None
    presence: jax.Array | None
    bias_V: jax.Array | None
    temperature: jax.Array | None
    top_k: jax.Array | None
    top_p: jax.Array | None
    min_p: jax.Array | None
    key: jax.Array | None


def choose(
    scores: jax.Array,
    tokens: jax.Array,
    seen: jax.Array | None,
    sampler: Sampler,
    request: jax.Array,
    position: jax.Array,
) -> jax.Array:
    """Which of `tokens` [..., X] comes next: indices [...] int32 into X.

    `scores` are float32, -inf for what may not be chosen; `seen` as in `weighed`. `request` and `position` [...] name
    the draw. Equal scores: the first token.
    """
    scores = weighed(scores, tokens, seen, sampler)
    if sampler.key is not None:
        scores = cut(scores, sampler) + _noise(sampler.key, request, position, tokens)
    return jnp.argmax(scores, axis=-1).astype(jnp.int32)


def weighed(scores: jax.Array, tokens: jax.Array, seen: jax.Array | None, sampler: Sampler) -> jax.Array:
    """`scores` with penalties and bias. `seen` [..., X] has the bits `READ` and `WRITTEN` (needed for penalties)."""
    scores = given = scores.astype(jnp.float32)
    if sampler.repetition is not None and sampler.presence is not None:
        assert seen is not None
        penalised = jnp.where(scores > 0, scores / sampler.repetition, scores * sampler.repetition)
        scores = jnp.where(seen > 0, penalised, scores) - jnp.where(seen & WRITTEN, sampler.presence, 0)
    if sampler.bias_V is not None:
        scores = scores + sampler.bias_V[tokens]
    # Whatever the numbers are, what may not be chosen is not, and all else may be.
    return (
        scores
        if scores is given
        else jnp.where(given == _NEVER, _NEVER, jnp.clip(scores, -_LARGEST, _LARGEST))
    )


def cut(scores: jax.Array, sampler: Sampler) -> jax.Array:
    """Log-probabilities [..., X] up to a constant, at the sampler's temperature; -inf for those that it leaves out."""
    assert sampler.temperature is not None
    scores = scores / sampler.temperature
    if sampler.top_k is None and sampler.top_p is None and sampler.min_p is None:
        return scores
    falling = -jnp.sort(-scores, axis=-1)
    least = jnp.full((*scores.shape[:-1], 1), _NEVER)
    if sampler.top_k is not None:
        last = jnp.minimum(sampler.top_k, scores.shape[-1]) - 1
        least = jnp.take(falling, last[None], axis=-1)
        falling = jnp.where(falling < least, _NEVER, falling)
    if sampler.top_p is not None:
        # A token stays while those before it do not reach p; the likeliest always does.
        probability = jax.nn.softmax(falling, axis=-1)
        stays = (jnp.cumsum(probability, axis=-1) - probability < sampler.top_p).at[..., 0].set(True)
        least = jnp.maximum(least, jnp.min(jnp.where(stays, falling, jnp.inf), axis=-1, keepdims=True))
    if sampler.min_p is not None:
        least = jnp.maximum(least, falling[..., :1] + jnp.log(sampler.min_p))
    return jnp.where(scores < least, _NEVER, scores)


def remembered(seen_BV: jax.Array, tokens_BT: jax.Array, real_BT: jax.Array, bit: int) -> jax.Array:
    """`seen_BV` [B, V] uint8 with `READ` or `WRITTEN` at those of the rows' tokens that are real (bool)."""
    row_B1 = jnp.arange(len(seen_BV))[:, None]
    where = row_B1, jnp.where(real_BT, tokens_BT, seen_BV.shape[1])
    before_BT = seen_BV.at[where].get(mode="fill", fill_value=0)
    return seen_BV.at[where].set(before_BT | jnp.uint8(bit), mode="drop")


def _noise(key: jax.Array, request: jax.Array, position: jax.Array, tokens: jax.Array) -> jax.Array:
    """Gumbel noise [..., X] of each token in this draw."""

    def of_token(request: jax.Array, position: jax.Array, token: jax.Array) -> jax.Array:
        folded = key
        for number in (request, position, token):
            folded = jax.random.fold_in(folded, number)
        return jax.random.gumbel(folded)

    request, position = (
        jnp.broadcast_to(each[..., None], tokens.shape).reshape(-1) for each in (request, position)
    )
    return jax.vmap(of_token)(request, position, tokens.reshape(-1)).reshape(tokens.shape)
