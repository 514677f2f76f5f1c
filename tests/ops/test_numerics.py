"""Norms, the head and rotary positions against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.ops import head_logits, inverse_row_norms, linear, rms_norm
from kcx_jax.ops.rope import Rope, rotate, rotation

rng = np.random.default_rng(0)


def test_linear_multiplies_by_out_in_kernels_over_any_leading_axes():
    x, kernel = rng.normal(size=(2, 3, 5)).astype("f"), rng.normal(size=(4, 5)).astype("f")
    assert_allclose(linear(jnp.asarray(x), jnp.asarray(kernel)), x @ kernel.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rms_norm_rounds_once_before_the_weight(dtype):
    x = jnp.asarray(rng.normal(size=(6, 64)) * 100, dtype)
    weight = jnp.asarray(rng.normal(size=64), dtype)
    exact = np.asarray(x, np.float64)
    exact /= np.sqrt((exact**2).mean(-1, keepdims=True) + 1e-6)
    expected = jnp.asarray(exact, dtype) * weight
    found = rms_norm(x, weight, 1e-6)
    assert found.dtype == x.dtype
    assert_allclose(
        np.asarray(found, "f"), np.asarray(expected, "f"), rtol=1e-6 if dtype == "float32" else 8e-3
    )


def test_norm_head_ignores_the_length_of_rows_and_keeps_zero_rows_finite():
    hidden = jnp.asarray(rng.normal(size=(3, 8)), jnp.float32)
    head = jnp.asarray(rng.normal(size=(5, 8)), jnp.float32).at[2].set(0)
    lengths = jnp.asarray([[1e-3], [1.0], [1.0], [7.0], [500.0]])

    def logits(head):
        return head_logits(hidden, head, inverse_row_norms(head))

    unit = np.asarray(head, np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    assert_allclose(logits(head), np.asarray(hidden, np.float64) @ unit.T, rtol=1e-5, atol=1e-6)
    assert_allclose(logits(head * lengths), logits(head), rtol=1e-5, atol=1e-6)
    gradient = jax.grad(lambda head: logits(head).sum())(head)
    assert jnp.isfinite(gradient).all()
    # Logits do not change along a row, so no gradient points along it.
    along = jnp.sum(gradient * head, axis=1)
    assert_allclose(along, np.zeros(5), atol=1e-4)


def test_norm_head_gives_float32_from_bfloat16():
    head = jnp.ones((5, 8), jnp.bfloat16)
    assert head_logits(jnp.ones((2, 8), jnp.bfloat16), head, inverse_row_norms(head)).dtype == jnp.float32


def test_rotation_makes_scores_depend_on_distance_alone():
    q, k = (jnp.asarray(rng.normal(size=(1, 1, 1, 16)), jnp.float32) for _ in range(2))

    def score(i, j):
        turn = [rotation(jnp.asarray([[p]]), 16, Rope(), jnp.float32) for p in (i, j)]
        return float(jnp.sum(rotate(q, turn[0]) * rotate(k, turn[1])))

    assert score(0, 0) == pytest.approx(float(jnp.sum(q * k)), abs=1e-5)
    assert score(9, 4) == pytest.approx(score(905, 900), abs=1e-3)
    assert score(9, 4) != pytest.approx(score(4, 9), abs=1e-3)


def test_rotation_pairs_a_channel_with_the_one_half_a_head_away():
    x = jnp.zeros((1, 1, 1, 8)).at[..., 1].set(1.0)
    angle = 3 * 100.0 ** (-2 / 8)
    turned = rotate(x, rotation(jnp.asarray([[3]]), 8, Rope(100.0), jnp.float32))[0, 0, 0]
    expected = np.zeros(8)
    expected[1], expected[5] = np.cos(angle), np.sin(angle)
    assert_allclose(turned, expected, atol=1e-6)
