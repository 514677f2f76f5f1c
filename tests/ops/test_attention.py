"""Attention in parts equals one softmax over all keys.

Shapes: H = heads of keys, R = query heads of each, Q = queries, S = keys, C = channels.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from kcx_jax.ops.attention import merge, partial_attention

H, R, Q, S, C = 2, 3, 3, 7, 4


def one_softmax(q, k, v, mask):
    """Plain masked softmax; a query without keys gives zeros."""
    k, v = k[:, None], v[:, None]
    scores = jnp.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(C), -np.inf)
    some = mask.any(-1, keepdims=True)
    weights = jax.nn.softmax(jnp.where(some, scores, 0.0), axis=-1)
    return jnp.where(some, weights, 0.0) @ v


def in_parts(q, k, v, mask, cut):
    halves = (slice(None, cut), slice(cut, None))
    return merge([partial_attention(q, k[:, h], v[:, h], mask[:, h]) for h in halves])


@settings(deadline=None, max_examples=25)
@given(cut=st.sampled_from([0, 3, S]), seed=st.integers(0, 2**16), scale=st.sampled_from([1e-3, 1.0, 30.0]))
def test_parts_merge_to_one_softmax_in_values_and_gradients(cut, seed, scale):
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        q, k, v = (jnp.asarray(rng.normal(size=(H, *n, C)) * scale) for n in ((R, Q), (S,), (S,)))
        mask = jnp.asarray(rng.random((Q, S)) < 0.6)
        direction = rng.normal(size=(H, R, Q, C))
        results = []
        for attention in (one_softmax, lambda *a: in_parts(*a, cut)):
            value, pull = jax.vjp(lambda q, k, v, f=attention: f(q, k, v, mask), q, k, v)
            results.append((value, *pull(jnp.asarray(direction))))
        for expected, found in zip(*results, strict=True):
            assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * max(scale, 1) ** 2)


def test_a_query_without_keys_gives_zeros_and_finite_gradients():
    q, k, v = (jnp.ones((H, *n, C)) for n in ((R, Q), (S,), (S,)))
    nothing = jnp.zeros((Q, S), bool)
    value, pull = jax.vjp(lambda *x: merge([partial_attention(*x, nothing)]), q, k, v)
    assert (value == 0).all()
    assert all((g == 0).all() for g in pull(jnp.ones_like(value)))


def test_low_precision_inputs_keep_float32_statistics():
    q, k, v = (jnp.ones((H, *n, C), jnp.bfloat16) for n in ((R, Q), (S,), (S,)))
    part = partial_attention(q, k, v, jnp.ones((Q, S), bool))
    assert {x.dtype for x in part} == {jnp.dtype("float32")}
    # 1 + 2^-9 is lost in bfloat16: the sum of the weights must not be taken there.
    assert part.total == pytest.approx(np.full((H, R, Q), S))
