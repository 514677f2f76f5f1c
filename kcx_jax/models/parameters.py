"""What parameters the model has: one description gives abstract values, initial values and shardings.

Linear kernels are [out, in], as in Hugging Face files; those of the layers carry a leading layer axis:

    embed_tokens [V, D]
    layers/input_layernorm, layers/post_attention_layernorm [layers, D]
    layers/W_pack [layers, Q + 2 G C, D]: the rows of queries, keys and values (Q = D = G C in Baichuan2)
    layers/o_proj [layers, D, Q]
    layers/gate_proj, layers/up_proj [layers, F, D], layers/down_proj [layers, D, F]
    norm [D]
    lm_head [V, D], rows as stored (NormHead divides the logits by their norms); not there if tied

and where the model has them layers/W_bias [layers, out] of kernel W, layers/q_norm, layers/k_norm [layers, C].
The adapters of kernel W lie at layers/W/A [layers, r, in] and layers/W/B [layers, out, r]; q_proj, k_proj and v_proj
adapt their own rows of W_pack.
"""

from dataclasses import replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh

from kcx_jax.lora.adapter import LoraConfig, adapter_parameters
from kcx_jax.models.config import ModelConfig
from kcx_jax.models.sharding import shardings
from kcx_jax.ops.parameters import Parameter, abstract, initialise, normal, ones, zeros
from kcx_jax.ops.quantised import QUANTISED_DTYPES, Quantisation, Quantised

KERNELS = ("W_pack", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The matrices of a layer, which hold nearly all of a base's values."""

_INITIAL = normal(0.02)


def layer_parameters(config: ModelConfig) -> dict[str, Parameter]:
    """The parameters of one layer, without the layer axis."""
    D = config.hidden_size
    kernels = _kernels(config)
    attention_biases = {"W_pack": config.qkv_bias, "o_proj": config.o_bias}
    biased = [name for name in kernels if attention_biases.get(name, config.mlp_bias)]
    head_norms = ("q_norm", "k_norm") if config.qk_norm else ()
    return {
        "input_layernorm": Parameter((D,), (None,), ones),
        "post_attention_layernorm": Parameter((D,), (None,), ones),
        **kernels,
        **{f"{name}_bias": _bias(kernels[name]) for name in biased},
        **{name: Parameter((config.head_dim,), (None,), ones) for name in head_norms},
    }


def _kernels(config: ModelConfig) -> dict[str, Parameter]:
    D, F, Q = config.hidden_size, config.intermediate_size, config.query_size
    qkv = config.qkv_rows["v_proj"].stop
    return {
        "W_pack": Parameter((qkv, D), ("heads", "embed"), _INITIAL),
        "o_proj": Parameter((D, Q), ("embed", "heads"), _INITIAL),
        "gate_proj": Parameter((F, D), ("mlp", "embed"), _INITIAL),
        "up_proj": Parameter((F, D), ("mlp", "embed"), _INITIAL),
        "down_proj": Parameter((D, F), ("embed", "mlp"), _INITIAL),
    }


def _bias(kernel: Parameter) -> Parameter:
    return Parameter(kernel.shape[:1], kernel.axes[:1], zeros)


def outer_parameters(config: ModelConfig) -> dict[str, Parameter]:
    """The parameters outside the layers."""
    table = Parameter((config.vocab_size, config.hidden_size), ("vocab", "embed"), _INITIAL)
    head = {} if config.tied_head else {"lm_head": table}
    return {"embed_tokens": table, "norm": Parameter((config.hidden_size,), (None,), ones), **head}


def lora_parameters(config: ModelConfig, lora: LoraConfig) -> dict[str, dict[str, Parameter]]:
    """The adapter pairs of one layer, without the layer axis."""
    kernels = _kernels(config)
    fused = kernels["W_pack"]
    for name, rows in config.qkv_rows.items():
        kernels[name] = replace(fused, shape=(rows.stop - rows.start, *fused.shape[1:]))
    return adapter_parameters(kernels, lora)


def abstract_params(
    config: ModelConfig,
    dtype: jax.typing.DTypeLike = jnp.float32,
    quantisation: Quantisation | None = None,
) -> dict[str, Any]:
    """The tree of `jax.ShapeDtypeStruct` of the params collection; `Quantised` in the place of the layers' kernels
    with a `quantisation`.
    """
    return abstract(_params(config, quantisation), dtype)


def init_params(
    config: ModelConfig, key: jax.Array, dtype: jax.typing.DTypeLike = jnp.float32
) -> dict[str, Any]:
    """Random params: matrices normal with deviation 0.02, norms one."""
    return initialise(_params(config), key, dtype)


def param_shardings(
    config: ModelConfig, mesh: Mesh | AbstractMesh, quantisation: Quantisation | None = None
) -> dict[str, Any]:
    """The tree of `NamedSharding` of the params. `UsageError` where a size does not divide over the mesh."""
    return shardings(_params(config, quantisation), mesh)


def abstract_lora(
    config: ModelConfig, lora: LoraConfig, dtype: jax.typing.DTypeLike = jnp.float32
) -> dict[str, Any]:
    """The tree of `jax.ShapeDtypeStruct` of the lora collection."""
    return abstract(_lora(config, lora), dtype)


def init_lora(
    config: ModelConfig, lora: LoraConfig, key: jax.Array, dtype: jax.typing.DTypeLike = jnp.float32
) -> dict[str, Any]:
    """A fresh adapter {"layers": {kernel: {"A", "B"}}}: with it the model equals its base bit for bit."""
    return initialise(_lora(config, lora), key, dtype)


def lora_shardings(config: ModelConfig, lora: LoraConfig, mesh: Mesh | AbstractMesh) -> dict[str, Any]:
    """The tree of `NamedSharding` of the lora collection. `UsageError` as in `param_shardings`."""
    return shardings(_lora(config, lora), mesh)


def bytes_per_device(config: ModelConfig, dtype: jax.typing.DTypeLike, mesh: Mesh | AbstractMesh) -> int:
    """Bytes of the params that each device of `mesh` holds. `UsageError` as in `param_shardings`."""
    parts = jax.tree.map(
        lambda leaf, where: prod(where.shard_shape(leaf.shape)),
        abstract_params(config),
        param_shardings(config, mesh),
    )
    return sum(jax.tree.leaves(parts)) * jnp.dtype(dtype).itemsize


def _params(config: ModelConfig, quantisation: Quantisation | None = None) -> dict[str, Any]:
    layers: dict[str, Any] = {
        name: p.stacked(config.num_layers) for name, p in layer_parameters(config).items()
    }
    if quantisation is not None:
        layers |= {name: _quantised(layers[name], quantisation) for name in KERNELS}
    return {**outer_parameters(config), "layers": layers}


def _quantised(kernel: Parameter, quantisation: Quantisation) -> Quantised:
    values = replace(kernel, dtype=QUANTISED_DTYPES[quantisation])
    return Quantised(values, Parameter(kernel.shape[:-1], kernel.axes[:-1], ones, jnp.float32))


def _lora(config: ModelConfig, lora: LoraConfig) -> dict[str, Any]:
    pairs = lora_parameters(config, lora)
    return {"layers": jax.tree.map(lambda p: p.stacked(config.num_layers), pairs)}
