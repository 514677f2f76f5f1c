"""The golden checkpoint read with safetensors alone, and packed trees made independently of the data room."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from kcx_jax.lora import LoraConfig
from kcx_jax.models import ModelConfig, abstract_lora, abstract_params, config_from_hf

KERNELS = ("self_attn.W_pack", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
NORMS = ("input_layernorm", "post_attention_layernorm")


class Checkpoint(NamedTuple):
    config: ModelConfig
    params: dict[str, Any]


class Golden(NamedTuple):
    """The fixture's folder, its base in float32 and its adapter."""

    folder: Path
    base: Checkpoint
    lora: dict[str, Any]
    lora_config: LoraConfig


def read_checkpoint(folder: Path) -> Checkpoint:
    config = config_from_hf(json.loads((folder / "config.json").read_text()))
    tensors: dict[str, np.ndarray] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)

    def stacked(name):
        names = (f"model.layers.{i}.{name}.weight" for i in range(config.num_layers))
        return jnp.stack([jnp.asarray(tensors[n]) for n in names])

    params = {
        "embed_tokens": jnp.asarray(tensors["model.embed_tokens.weight"]),
        "norm": jnp.asarray(tensors["model.norm.weight"]),
        "lm_head": jnp.asarray(tensors["lm_head.weight"]),
        "layers": {name.split(".")[-1]: stacked(name) for name in KERNELS + NORMS},
    }
    return Checkpoint(config, params)


def stack_adapter(tensors: dict[str, np.ndarray], num_layers: int) -> dict[str, Any]:
    """PEFT's tensors (or their gradients) as our tree."""

    def stacked(name, side):
        names = (f"base_model.model.model.layers.{i}.{name}.lora_{side}.weight" for i in range(num_layers))
        return jnp.stack([jnp.asarray(tensors[n]) for n in names])

    return {"layers": {n.split(".")[-1]: {s: stacked(n, s) for s in "AB"} for n in KERNELS}}


@pytest.fixture(scope="session")
def golden(shared) -> Golden:
    folder = shared / "fixtures" / "baichuan2_tiny"
    base = read_checkpoint(folder / "base_fp32")
    adapter = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    lora = stack_adapter(load_file(folder / "adapter" / "adapter_model.safetensors"), base.config.num_layers)
    lora_config = LoraConfig(adapter["r"], adapter["lora_alpha"], 0.0, tuple(adapter["target_modules"]))
    return Golden(folder, base, lora, lora_config)


@pytest.fixture(scope="session")
def load_checkpoint():
    return read_checkpoint


@pytest.fixture(scope="session")
def load_adapter_tensors():
    return stack_adapter


@pytest.fixture(scope="session")
def tiny() -> ModelConfig:
    """Small enough to compile in a second; 3 layers so that a layer mix-up shows."""
    return ModelConfig(vocab_size=37, hidden_size=16, intermediate_size=24, num_layers=3, num_heads=2)


@pytest.fixture(scope="session")
def random_values():
    """Random params, and an adapter with B not zero, made by numpy: eager initialisers take seconds to compile."""

    def make(config, lora=None, dtype=jnp.float32, seed=0):
        rng = np.random.default_rng(seed)

        def fill(leaf, deviation):
            return jnp.asarray(rng.normal(size=leaf.shape) * deviation, dtype)

        values = {"params": jax.tree.map(lambda leaf: fill(leaf, 0.3), abstract_params(config))}
        if lora is not None:
            values["lora"] = jax.tree.map(lambda leaf: fill(leaf, 0.3), abstract_lora(config, lora))
        return values

    return make


@pytest.fixture(scope="session")
def touched_tokens():
    """For each token of each row the set of token ids that its hidden state depends on, by gradient."""

    def find(module, values, tokens_BT, positions_BT, layout):
        B, T = tokens_BT.shape
        D = module.config.hidden_size
        direction_D = jnp.asarray(np.random.default_rng(0).normal(size=D), jnp.float32)

        def hidden(table):
            changed = {**values, "params": {**values["params"], "embed_tokens": table}}
            return module.apply(changed, tokens_BT, positions_BT, layout)[0].reshape(B * T, D)

        @jax.jit
        def derivatives(table):
            _, pull = jax.vjp(hidden, table)
            # One by one: batched over many tokens, the backward of RMSNorm is compiled wrongly by XLA for
            # CPUs in jaxlib 0.10.2 (its YNN fusion of a reduction with broadcasts).
            return jax.lax.map(
                lambda n: pull(jnp.zeros((B * T, D)).at[n].set(direction_D))[0], jnp.arange(B * T)
            )

        touched = np.abs(derivatives(values["params"]["embed_tokens"])).sum(-1) > 0
        return [[set(np.flatnonzero(touched[b * T + t]).tolist()) for t in range(T)] for b in range(B)]

    return find


@pytest.fixture(scope="module")
def quick_compilation():
    """Half the compile time, for tests that compare programs up to rounding."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
