"""What the tensors and the config of each exported layout are. Tensors are made one after another, when written.

Shapes: D = hidden size, V = vocabulary, r = rank.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.checkpoints.names import Place, adapter_places, param_places
from kcx_jax.checkpoints.tensor_file import TensorSource
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig, merge_layer, targets_of
from kcx_jax.models import ModelConfig, config_to_hf
from kcx_jax.ops.numerics import inverse_row_norms

_ROWS = 4096

Tensors = dict[str, TensorSource]
Make = Callable[[], np.ndarray]


def baichuan_tensors(
    config: ModelConfig, params: Any, lora: Any, lora_config: LoraConfig | None, dtype: np.dtype
) -> Tensors:
    """The released layout: W_pack fused, the head's raw rows; an adapter is merged into its kernels."""
    layer = _merged_layers(config, params, lora, lora_config, dtype)
    return {
        name: TensorSource(place.shape, dtype, partial(_part, layer, place))
        for name, place in param_places(config, fused=True).items()
    }


def llama_tensors(
    config: ModelConfig, params: Any, lora: Any, lora_config: LoraConfig | None, dtype: np.dtype
) -> Tensors:
    """The Llama family's layout: q, k and v apart, the rows of a NormHead of norm one."""
    layer = _merged_layers(config, params, lora, lora_config, dtype)
    tensors: Tensors = {}
    for name, place in param_places(config, fused=False).items():
        make: Make = partial(_part, layer, place)
        if place.path == ("lm_head",) and config.norm_head:
            make = partial(_normalised, make, dtype)
        tensors[name] = TensorSource(place.shape, dtype, make)
    return tensors


def adapter_tensors(config: ModelConfig, lora: Any, lora_config: LoraConfig, dtype: np.dtype) -> Tensors:
    """PEFT's layout."""
    lora = jax.device_get(lora)
    return {
        name: TensorSource(place.shape, dtype, partial(place.of, lora))
        for name, place in adapter_places(config, lora_config).items()
    }


Layer = Callable[[tuple[str, ...], int | None], np.ndarray]


def _merged_layers(
    config: ModelConfig, params: Any, lora: Any, lora_config: LoraConfig | None, dtype: np.dtype
) -> Layer:
    """(path, layer) -> that parameter on the host, with the adapter merged in and rounded once; the last one is kept,
    as q, k and v come from the same.
    """
    wide = jnp.promote_types(params["norm"].dtype, dtype)
    rows = config.qkv_rows

    @partial(jax.jit, static_argnums=3)
    def merged(kernels: jax.Array, pairs: Any, layer: int, name: str) -> jax.Array:
        own = {target: {side: pair[side][layer] for side in "AB"} for target, pair in pairs.items()}
        assert lora_config is not None
        return merge_layer(kernels[layer].astype(wide), own, lora_config, rows)

    @lru_cache(maxsize=1)
    def made(path: tuple[str, ...], layer: int | None) -> np.ndarray:
        if layer is None:
            return jax.device_get(params[path[0]])
        kernels = params["layers"][path[-1]]
        targets = () if lora_config is None else targets_of(path[-1], lora_config)
        if not targets:
            return jax.device_get(kernels[layer])
        pairs = {target: lora["layers"][target] for target in targets}
        return jax.device_get(merged(kernels, pairs, layer, path[-1]))

    return made


def _part(layer: Layer, place: Place) -> np.ndarray:
    whole = layer(place.path, place.layer)
    return whole if place.rows is None else whole[place.rows]


def _normalised(make: Make, dtype: np.dtype) -> np.ndarray:
    """The head's rows divided by their norms in float32, block by block: the whole in float32 would be 2 GB for 7B."""
    head_VD = make()
    normalised_VD = np.empty(head_VD.shape, dtype)
    for row in range(0, len(head_VD), _ROWS):
        some = slice(row, row + _ROWS)
        wide = head_VD[some].astype(np.float32)
        normalised_VD[some] = wide * np.asarray(inverse_row_norms(jnp.asarray(wide)))[:, None]
    return normalised_VD


def baichuan_config(config: ModelConfig, dtype: np.dtype) -> dict[str, Any]:
    """`config.json` with the release's keys. The Python files it names are not needed here, nor shipped."""
    if config.family != "baichuan":
        raise UsageError(f"a {config.family} model has no Baichuan layout; export it as llama, its own one.")
    code = {
        "AutoConfig": "configuration_baichuan.BaichuanConfig",
        "AutoModelForCausalLM": "modeling_baichuan.BaichuanForCausalLM",
    }
    return {
        **config_to_hf(config),
        "auto_map": code,
        "_from_model_config": True,
        "torch_dtype": dtype.name,
        "transformers_version": "4.29.2",
    }


def llama_config(config: ModelConfig, dtype: np.dtype) -> dict[str, Any]:
    """`config.json` of the same model as one that transformers computes without remote code: a Baichuan2-7B is a
    `LlamaForCausalLM`, the Llama family stays what it is. `UsageError` for ALiBi, which Llama has not.
    """
    if config.rope is None:
        raise UsageError(
            "this model's positions are ALiBi (Baichuan2-13B), which no Llama model has. Export it as baichuan."
        )
    if config.family == "baichuan":
        config = replace(config, family="llama", norm_head=False)
    return {**config_to_hf(config), "torch_dtype": dtype.name}
