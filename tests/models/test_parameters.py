"""One description: the module, abstract values, initial values and shardings agree."""

import subprocess
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, PartitionSpec

from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import (
    Transformer,
    abstract_lora,
    abstract_mesh,
    abstract_params,
    bytes_per_device,
    init_lora,
    init_params,
    lora_shardings,
    make_mesh,
    param_shardings,
)
from kcx_jax.ops import Causal

LORA = LoraConfig(rank=3, targets=("W_pack", "down_proj"))


def shapes(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


def test_the_modules_own_trees_are_the_described_ones(tiny):
    layout = Causal(jnp.asarray([4]))
    tokens = jnp.zeros((1, 4), jnp.int32)
    made = jax.eval_shape(Transformer(tiny, LORA).init, jax.random.key(0), tokens, tokens, layout)
    assert shapes(made["params"]) == shapes(abstract_params(tiny))
    assert shapes(made["lora"]) == shapes(abstract_lora(tiny, LORA))
    initial = jax.eval_shape(lambda key: init_params(tiny, key, jnp.bfloat16), jax.random.key(0))
    assert shapes(initial) == shapes(abstract_params(tiny, jnp.bfloat16))
    initial = jax.eval_shape(lambda key: init_lora(tiny, LORA, key), jax.random.key(0))
    assert shapes(initial) == shapes(abstract_lora(tiny, LORA))


def test_baichuan2_7b_has_its_published_number_of_parameters():
    from kcx_jax.models import ModelConfig

    config = ModelConfig(125696, 4096, 11008, 32, 32)
    assert sum(x.size for x in jax.tree.leaves(abstract_params(config))) == 7_505_973_248
    assert sum(x.size for x in jax.tree.leaves(abstract_lora(config, LoraConfig(rank=32)))) == 71_565_312


def test_initial_values_follow_key_and_path_alone(tiny):
    one = init_lora(tiny, LoraConfig(rank=3), jax.random.key(0))["layers"]
    fewer = init_lora(tiny, LORA, jax.random.key(0))["layers"]
    assert (one["W_pack"]["A"] == fewer["W_pack"]["A"]).all()
    A = one["gate_proj"]["A"]
    assert (one["up_proj"]["A"] != A).any()  # equal shapes, other path
    assert (A[0] != A[1]).any()  # layers differ
    assert (init_lora(tiny, LoraConfig(rank=3), jax.random.key(1))["layers"]["gate_proj"]["A"] != A).any()


def test_the_model_needs_no_data_loader_no_settings_and_no_tokenizer():
    """So that GPU checks run where only JAX and Flax are."""
    code = "import sys, kcx_jax.models; print(*{m.partition('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    unwanted = {"grain", "pydantic", "transformers", "safetensors", "sentencepiece"}
    assert unwanted.isdisjoint(loaded.stdout.split())


def test_every_matrix_is_divided_over_fsdp_and_tensor(tiny):
    config = abstract_params(tiny)
    placed = param_shardings(tiny.__class__(64, 16, 24, 3, 2), abstract_mesh(2, 2, 2))
    assert jax.tree.structure(placed) == jax.tree.structure(config)
    specs = jax.tree.map(lambda s: s.spec, placed)
    assert specs["layers"]["W_pack"] == PartitionSpec(None, "tensor", "fsdp")
    assert specs["layers"]["down_proj"] == PartitionSpec(None, "fsdp", "tensor")
    assert specs["lm_head"] == specs["embed_tokens"] == PartitionSpec("tensor", "fsdp")
    lora = lora_shardings(tiny, LORA, abstract_mesh(2, 2, 2))["layers"]["W_pack"]
    assert lora["A"].spec == PartitionSpec(None, None, "fsdp")
    assert lora["B"].spec == PartitionSpec(None, "tensor", None)


def test_memory_of_a_device_is_the_part_it_holds(tiny):
    config = tiny.__class__(64, 16, 24, 3, 2)
    whole = sum(leaf.size for leaf in jax.tree.leaves(abstract_params(config)))
    norms = (2 * 3 + 1) * 16
    assert bytes_per_device(config, jnp.bfloat16, abstract_mesh()) == 2 * whole
    assert bytes_per_device(config, jnp.float32, abstract_mesh(2, 2, 2)) == 4 * ((whole - norms) // 4 + norms)


def test_a_size_that_does_not_divide_is_refused_by_name(tiny):
    with pytest.raises(UsageError, match=r"embed_tokens.*37.*2 parts"):
        param_shardings(tiny, abstract_mesh(1, 1, 2))


def test_a_mesh_takes_all_devices_or_is_refused():
    (device,) = jax.devices()[:1]
    assert dict(make_mesh([device]).shape) == {"data": 1, "fsdp": 1, "tensor": 1}
    assert make_mesh([device]).axis_types == (AxisType.Auto,) * 3
    eight = [SimpleNamespace()] * 8
    for sizes in ({"data": 3}, {"fsdp": 3}, {"tensor": 0}, {"fsdp": -1}, {"data": 4}):
        with pytest.raises(UsageError, match="8 devices"):
            make_mesh(eight, **sizes)
