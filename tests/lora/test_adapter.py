"""Adapters as pure functions: scale, dropout, initial values, merging."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig, adapter_output, adapter_parameters, merge
from kcx_jax.ops import Parameter
from kcx_jax.ops.parameters import initialise, zeros

rng = np.random.default_rng(0)
KERNELS = {"o_proj": Parameter((6, 100), ("embed", "heads"), zeros)}


def pair(rank=3, in_size=8, out_size=6):
    return {
        "A": jnp.asarray(rng.normal(size=(rank, in_size)), jnp.float32),
        "B": jnp.asarray(rng.normal(size=(out_size, rank)), jnp.float32),
    }


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"rank": 0}, "rank"),
        ({"dropout": 1.0}, "dropout"),
        ({"targets": ("lm_head",)}, "lm_head"),
        ({"targets": ("W_pack", "k_proj")}, "twice"),
        ({"targets": ("o_proj",), "ranks": {"W_pack": 4}}, "W_pack"),
        ({"ranks": {"W_pack": 0}}, "rank"),
        ({"targets": ()}, "targets"),
        ({"targets": ("o_proj", "o_proj")}, "each once"),
    ],
)
def test_wrong_settings_are_refused_by_name(values, named):
    with pytest.raises(UsageError, match=named):
        LoraConfig(**values)


def test_output_is_alpha_over_rank_times_the_low_rank_product():
    matrices, x = pair(), jnp.asarray(rng.normal(size=(2, 5, 8)), jnp.float32)
    found = adapter_output(x, matrices, LoraConfig(rank=3, alpha=12).scale_of("o_proj"))
    assert_allclose(found, 4 * x @ (matrices["B"] @ matrices["A"]).T, rtol=1e-4, atol=1e-4)


def test_fresh_adapters_are_uniform_within_one_over_root_of_inputs_and_zero():
    fresh = initialise(
        adapter_parameters(KERNELS, LoraConfig(50, targets=("o_proj",))), jax.random.key(0), "f"
    )
    A, B = fresh["o_proj"]["A"], fresh["o_proj"]["B"]
    assert A.shape == (50, 100)
    assert B.shape == (6, 50)
    assert (B == 0).all()
    assert 0.099 < float(jnp.abs(A).max()) <= 0.1
    assert float(A.std()) == pytest.approx(0.1 / 3**0.5, rel=0.05)


def test_dropout_is_unbiased_drops_inputs_and_needs_a_key():
    matrices = {"A": jnp.ones((1, 40_000)), "B": jnp.ones((1, 1))}
    x = jnp.ones((1, 40_000))
    assert adapter_output(x, matrices, 1.0, 0.25) == 40_000
    dropped = float(adapter_output(x, matrices, 1.0, 0.25, jax.random.key(0))[0, 0])
    assert dropped != 40_000
    assert dropped == pytest.approx(40_000, rel=0.02)
    kept = dropped * 0.75  # every kept input counts 1 / 0.75
    assert kept == pytest.approx(round(kept), abs=0.1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_merging_sums_in_float32_and_rounds_once(dtype):
    config = LoraConfig(rank=3, alpha=6, targets=("o_proj",))
    layers = [pair() for _ in range(2)]
    lora = {"layers": {"o_proj": jax.tree.map(lambda *x: jnp.stack(x), *layers)}}
    kernel = jnp.asarray(rng.normal(size=(2, 6, 8)), dtype)
    other = jnp.ones((2, 4))
    params = {"norm": other, "layers": {"o_proj": kernel, "input_layernorm": other}}
    merged = merge(params, lora, config, rows={})
    updates = [2 * np.float64(p["B"]) @ np.float64(p["A"]) for p in layers]
    expected = jnp.asarray(np.float32(np.float64(kernel) + updates), dtype)
    assert merged["layers"]["o_proj"].dtype == kernel.dtype
    # In bfloat16 the two must be equal: a second rounding would show.
    tolerance = 1e-6 if dtype == "float32" else 0
    assert_allclose(
        np.float32(merged["layers"]["o_proj"]), np.float32(expected), atol=tolerance, rtol=tolerance
    )
    assert merged["norm"] is other
    assert merged["layers"]["input_layernorm"] is other
    assert params["layers"]["o_proj"] is kernel
