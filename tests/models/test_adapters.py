"""The adapted model: its start, its gradients, dropout, merging; and recomputed layers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.lora import LoraConfig, merge
from kcx_jax.models import Transformer, abstract_lora, init_lora
from kcx_jax.ops import Causal

TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 37, (2, 7)))
LORA = LoraConfig(rank=3, alpha=5)


@partial(jax.jit, static_argnums=0)
def hidden(module, values, dropout_key=None):
    """Hidden states in evaluation, or in training when there is a key for dropout."""
    layout = Causal(jnp.asarray([7, 5]))
    rngs = None if dropout_key is None else {"dropout": dropout_key}
    return module.apply(
        values, TOKENS, layout.positions(7), layout, deterministic=dropout_key is None, rngs=rngs
    )[0]


@partial(jax.jit, static_argnums=0)
def adapter_gradient(module, values):
    def objective(lora):
        return jnp.sum(hidden(module, {**values, "lora": lora}) ** 3)

    return jax.grad(objective)(values["lora"])


@pytest.fixture(scope="module")
def fresh(tiny):
    return init_lora(tiny, LORA, jax.random.key(1))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_fresh_adapter_leaves_the_base_as_it_is_bit_for_bit(tiny, random_values, fresh, dtype):
    values = random_values(tiny, dtype=dtype)
    base = hidden(Transformer(tiny, dtype=dtype), values)
    adapted = hidden(Transformer(tiny, LORA, dtype=dtype), {**values, "lora": fresh})
    assert base.dtype == dtype
    assert (base == adapted).all()


def test_at_the_start_only_B_has_a_gradient_and_it_does_in_every_layer(tiny, random_values, fresh):
    gradient = adapter_gradient(Transformer(tiny, LORA), {**random_values(tiny), "lora": fresh})
    for pair in gradient["layers"].values():
        assert (pair["A"] == 0).all()
        assert (jnp.abs(pair["B"]).sum(axis=(1, 2)) > 0).all()


@pytest.mark.parametrize("targets", [LORA.targets, ("gate_proj",)])
def test_the_merged_model_equals_base_and_adapter(tiny, random_values, targets):
    lora = LoraConfig(rank=3, alpha=5, targets=targets)
    values = random_values(tiny, lora)
    adapted = hidden(Transformer(tiny, lora), values)
    base = {"params": values["params"]}
    merged = {"params": merge(**values, config=lora, rows=tiny.qkv_rows)}
    assert_allclose(hidden(Transformer(tiny), merged), adapted, atol=1e-4)
    assert jnp.abs(adapted - hidden(Transformer(tiny), base)).max() > 0.1


def test_dropout_follows_its_key_and_stays_out_of_evaluation(tiny, random_values):
    values = random_values(tiny, LORA)
    module = Transformer(tiny, LoraConfig(rank=3, alpha=5, dropout=0.5))
    first, again, other = (hidden(module, values, jax.random.key(k)) for k in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert (hidden(module, values) == hidden(Transformer(tiny, LORA), values)).all()


@pytest.mark.parametrize("keep", [(), ("qkv", "attention"), ("stream", "gate", "up")])
def test_recomputing_layers_changes_nothing(tiny, random_values, keep):
    values = random_values(tiny, LORA)
    kept, recomputed = (adapter_gradient(Transformer(tiny, LORA, keep=keep), values) for keep in (None, keep))
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-4), recomputed, kept)


def test_the_base_gets_no_gradient_arrays_when_only_the_adapter_trains(tiny, random_values):
    """No array of a frozen kernel's shape is computed: it would cost as much as the forward pass."""
    values = random_values(tiny, LORA)
    frozen = {leaf.shape[1:] for leaf in jax.tree.leaves(values["params"]["layers"]) if leaf.ndim == 3}
    program = jax.make_jaxpr(partial(adapter_gradient, Transformer(tiny, LORA)))(values)
    trained = {leaf.shape[1:] for leaf in jax.tree.leaves(abstract_lora(tiny, LORA))}
    assert frozen.isdisjoint(trained)
    assert matmul_shapes(program.jaxpr).isdisjoint(frozen)
    assert matmul_shapes(program.jaxpr) >= trained


def matmul_shapes(program):
    """Shapes of the results of all matmuls in a program and the programs inside it."""
    found = set()
    for equation in program.eqns:
        if equation.primitive.name == "dot_general":
            found.add(equation.outvars[0].aval.shape)
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            found |= matmul_shapes(inner) if hasattr(inner, "eqns") else set()
    return found
