"""A jitted function that is told what its platform needs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kcx_jax.checkpoints.model import _logits
from kcx_jax.models import ModelConfig, Transformer, abstract_params
from kcx_jax.ops.layouts import Causal
from kcx_jax.ops.program import Program, _most_compiled

CONFIG = ModelConfig(vocab_size=64, hidden_size=128, intermediate_size=256, num_layers=24, num_heads=4)


def test_it_is_the_function_jitted_with_its_options():
    def power(x, n):
        """x to the n."""
        return x**n

    program = Program(power, static_argnames="n")
    assert program(jnp.float32(3), n=2) == 9
    assert (program.__name__, program.__doc__) == ("power", "x to the n.")
    assert "sine" in Program(jnp.sin).lower(jax.ShapeDtypeStruct((3,), jnp.float32)).as_text()


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="CPUs alone have so few maps")
def test_programs_of_many_shapes_do_not_use_up_the_maps_of_the_process(monkeypatch):
    setting = int(Path("/proc/sys/vm/max_map_count").read_text())
    assert (
        1 <= _most_compiled("cpu") <= max(1, setting // 2_000)
    )  # a step of a model has 1,000, and is not alone
    monkeypatch.setattr("kcx_jax.ops.program._most_compiled", lambda platform: 24)

    def maps() -> int:
        return len(Path("/proc/self/maps").read_text().splitlines())

    @Program
    def work(x):
        return jnp.cumsum(jnp.sort(jnp.tanh(x @ x.T)), axis=0)

    first = np.asarray(work(np.ones((1, 3), np.float32)))
    held = []
    for size in range(2, 98):
        assert work(np.ones((size, 3), np.float32)).shape == (size, size)
        held.append(maps())
    assert max(held[48:]) < max(held[:48]) + 100  # a program has about 20
    np.testing.assert_array_equal(work(np.ones((1, 3), np.float32)), first)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="only CPUs widen bfloat16")
def test_bfloat16_layers_are_not_all_widened_at_once():
    params = abstract_params(CONFIG, jnp.bfloat16)
    module = Transformer(CONFIG, None, jnp.dtype(jnp.bfloat16))
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)
    layout = jax.eval_shape(Causal, jax.ShapeDtypeStruct((1,), jnp.int32))
    norms = jax.ShapeDtypeStruct((CONFIG.vocab_size,), jnp.float32)
    program = _logits.lower(module, {"params": params}, norms, tokens, layout).compile()
    layer = sum(leaf.size for leaf in jax.tree.leaves(params["layers"])) // CONFIG.num_layers
    assert program.memory_analysis().temp_size_in_bytes < 3 * layer * 4  # of 24 layers
