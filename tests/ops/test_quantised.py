"""Kernels in 8 bits: how far they are from what they stand for, and what a product with them is.

Shapes: N = tokens, D = inputs, F = outputs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.extend.core import jaxprs_in_params
from numpy.testing import assert_allclose, assert_array_equal

from kcx_jax.ops import Quantised, linear, quantise
from kcx_jax.ops.quantised import QUANTISED_DTYPES

KINDS = pytest.mark.parametrize("kind", ["int8", "fp8"])
rng = np.random.default_rng(0)


def kernel(F=6, D=32, seed=0):
    """Channels of very different sizes."""
    own = np.random.default_rng(seed)
    return (own.normal(size=(F, D)) * 10.0 ** own.integers(-6, 4, (F, 1))).astype("f")


def dequantised(held: Quantised) -> np.ndarray:
    return np.asarray(held.values, np.float64) * np.asarray(held.scale, np.float64)[..., None]


@given(seed=st.integers(0, 2**16))
def test_every_value_is_the_nearest_one_of_its_channel(seed):
    exact = kernel(seed=seed)
    largest = np.abs(exact).max(1, keepdims=True)
    for kind, dtype in QUANTISED_DTYPES.items():
        error = np.abs(dequantised(quantise(exact, dtype)) - exact)
        # Half a step of int8; half a unit of e4m3's 3 bits, or of its smallest step near zero.
        bound = largest / 254 if kind == "int8" else np.maximum(np.abs(exact) / 16, largest / 448 / 2**10)
        assert (error <= bound * 1.001).all()


@KINDS
def test_numpy_and_jax_quantise_alike(kind):
    on_host, on_device = (quantise(x, QUANTISED_DTYPES[kind]) for x in (kernel(), jnp.asarray(kernel())))
    assert_array_equal(np.asarray(on_device.values, "f"), on_host.values.astype("f"))
    assert_allclose(on_device.scale, on_host.scale, rtol=1e-6)
    assert on_host.values.dtype == on_device.values.dtype == QUANTISED_DTYPES[kind]


@KINDS
def test_a_channel_of_zeros_stays_zero(kind):
    held = quantise(np.zeros((2, 8), "f"), QUANTISED_DTYPES[kind])
    assert (dequantised(held) == 0).all()
    x = jnp.ones((3, 8), jnp.bfloat16).at[1].set(0)
    value, pull = jax.vjp(lambda x: linear(x, jax.tree.map(jnp.asarray, held)), x)
    assert (value == 0).all()
    assert (pull(value)[0] == 0).all()


def test_int8_multiplies_by_what_it_holds_in_values_and_gradients():
    held = jax.tree.map(jnp.asarray, quantise(kernel(), QUANTISED_DTYPES["int8"]))
    x, dy = (jnp.asarray(rng.normal(size=(2, 3, n)), jnp.float32) for n in (32, 6))
    value, pull = jax.vjp(lambda x: linear(x, held), x)
    assert_allclose(value, np.asarray(x) @ dequantised(held).T, rtol=1e-4, atol=1e-5)
    assert_allclose(pull(dy)[0], np.asarray(dy) @ dequantised(held), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@KINDS
def test_products_are_near_those_of_the_exact_kernel(kind, dtype):
    exact = (rng.normal(size=(64, 512)) * rng.uniform(0.01, 0.1, (64, 1))).astype("f")
    held = jax.tree.map(jnp.asarray, quantise(exact, QUANTISED_DTYPES[kind]))
    x, dy = (jnp.asarray(rng.normal(size=(16, n)) * 3, dtype) for n in (512, 64))
    value, pull = jax.vjp(lambda x: linear(x, held), x)
    expected = np.asarray(x, np.float64) @ exact.T
    gradient = np.asarray(dy, np.float64) @ exact
    bound = {"int8": 0.02, "fp8": 0.06}[kind]
    for found, wanted in ((value, expected), (pull(dy)[0], gradient)):
        assert found.dtype == jnp.dtype(dtype)
        assert np.linalg.norm(np.asarray(found, np.float64) - wanted) < bound * np.linalg.norm(wanted)


def test_a_token_does_not_depend_on_the_others_in_its_batch():
    held = jax.tree.map(jnp.asarray, quantise(kernel(), QUANTISED_DTYPES["fp8"]))
    x = jnp.asarray(rng.normal(size=(5, 32)), jnp.float32)
    loud = x.at[1:].multiply(1e4)
    assert_array_equal(linear(loud, held)[0], linear(x, held)[0])


def test_both_operands_of_an_fp8_product_are_fp8():
    """What XLA turns into fp8 products on GPUs: nothing but widening stands between fp8 values and the product."""
    held = jax.eval_shape(
        lambda w: quantise(w, QUANTISED_DTYPES["fp8"]), jax.ShapeDtypeStruct((64, 128), "f")
    )
    x, dy = (jax.ShapeDtypeStruct((16, n), jnp.bfloat16) for n in (128, 64))

    def both(x, dy, held):
        value, pull = jax.vjp(lambda x: linear(x, held), x)
        return value, pull(dy)

    jaxpr = jax.make_jaxpr(both)(x, dy, held)
    products = list(_products(jaxpr.jaxpr))
    assert [sorted(map(str, kinds)) for kinds in products] == [
        ["float8_e4m3fn", "float8_e4m3fn"],
        ["float8_e4m3fn", "float8_e5m2"],
    ]


def _products(jaxpr):
    """The dtypes of what the operands of each matrix product are widened from, inner programs included."""
    made = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            widened = [made[var] for var in eqn.invars]
            assert [one.primitive.name for one in widened] == ["convert_element_type"] * 2
            yield [one.invars[0].aval.dtype for one in widened]
        for inner in jaxprs_in_params(eqn.params):
            yield from _products(inner)
