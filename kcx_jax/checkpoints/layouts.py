"""What the tensors and the config of each exported layout are. Tensors are made one after another, when
written.

Shapes: D = hidden size, V = vocabulary.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.checkpoints.names import Place, adapter_places, param_places
from kcx_jax.checkpoints.tensor_file import TensorSource
from kcx_jax.lora import LoraConfig, merge
from kcx_jax.models import ModelConfig
from kcx_jax.ops.numerics import inverse_row_norms

Tensors = dict[str, TensorSource]
Make = Callable[[], np.ndarray]


def baichuan_tensors(
    config: ModelConfig, params: Any, lora: Any, lora_config: LoraConfig | None, dtype: np.dtype
) -> Tensors:
    """The released layout: W_pack fused, the head's raw rows; an adapter is merged into its kernels."""
    return {
        name: TensorSource(place.shape, dtype, make)
        for name, place, make in _merged(config, params, lora, lora_config, dtype)
    }


def llama_tensors(
    config: ModelConfig, params: Any, lora: Any, lora_config: LoraConfig | None, dtype: np.dtype
) -> Tensors:
    """Llama's layout: q, k and v apart (the thirds of W_pack's rows), the head's rows of norm one."""
    tensors: Tensors = {}
    for name, place, make in _merged(config, params, lora, lora_config, dtype):
        if place.path[-1] == "W_pack":
            D = config.hidden_size
            for third, letter in enumerate("qkv"):
                rows = slice(third * D, (third + 1) * D)
                own_name = name.replace("W_pack", f"{letter}_proj")
                tensors[own_name] = TensorSource((D, D), dtype, partial(_rows, make, rows))
        elif place.path[-1] == "lm_head":
            tensors[name] = TensorSource(place.shape, dtype, partial(_normalised, make))
        else:
            tensors[name] = TensorSource(place.shape, dtype, make)
    return tensors


def adapter_tensors(config: ModelConfig, lora: Any, lora_config: LoraConfig, dtype: np.dtype) -> Tensors:
    """PEFT's layout, on the fused kernels."""
    lora = jax.device_get(lora)
    return {
        name: TensorSource(place.shape, dtype, partial(place.of, lora))
        for name, place in adapter_places(config, lora_config).items()
    }


def _merged(
    config: ModelConfig, params: Any, lora: Any, lora_config: LoraConfig | None, dtype: np.dtype
) -> list[tuple[str, Place, Make]]:
    """(name, place, how to make it) of each tensor, with the adapter merged in and rounded once.

    Leaf by leaf, not layer by layer as in released files: so one leaf at a time is on the host, merged once.
    """
    wide = jnp.promote_types(params["norm"].dtype, dtype)

    @lru_cache(maxsize=1)
    def leaf(path: tuple[str, ...]) -> np.ndarray:
        name, tree = path[-1], params if len(path) == 1 else params["layers"]
        if lora_config is None or name not in lora_config.targets:
            return jax.device_get(tree[name])
        one = {"layers": {name: tree[name].astype(wide)}}
        merged = merge(one, {"layers": {name: lora["layers"][name]}}, lora_config)
        return jax.device_get(merged["layers"][name])

    def array(place: Place) -> np.ndarray:
        return leaf(place.path) if place.layer is None else leaf(place.path)[place.layer]

    by_leaf = sorted(param_places(config).items(), key=lambda item: item[1].path)
    return [(name, place, partial(array, place)) for name, place in by_leaf]


def _rows(make: Make, rows: slice) -> np.ndarray:
    return make()[rows]


def _normalised(make: Make) -> np.ndarray:
    head_VD = make().astype(np.float32)
    return head_VD * np.asarray(inverse_row_norms(jnp.asarray(head_VD)))[:, None]


def baichuan_config(config: ModelConfig, dtype: np.dtype) -> dict[str, Any]:
    """`config.json` with the release's keys. The Python files it names are not needed here, nor shipped."""
    code = {
        "AutoConfig": "configuration_baichuan.BaichuanConfig",
        "AutoModelForCausalLM": "modeling_baichuan.BaichuanForCausalLM",
    }
    return {
        **config.to_hf(),
        "auto_map": code,
        "_from_model_config": True,
        "torch_dtype": dtype.name,
        "transformers_version": "4.29.2",
    }


def llama_config(config: ModelConfig, dtype: np.dtype) -> dict[str, Any]:
    """`config.json` of the same model as a plain `LlamaForCausalLM`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "bos_token_id": config.bos_id,
        "eos_token_id": config.eos_id,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_positions,
        "mlp_bias": False,
        "num_attention_heads": config.num_heads,
        "num_hidden_layers": config.num_layers,
        "num_key_value_heads": config.num_kv_heads,
        "pad_token_id": config.pad_id,
        "pretraining_tp": 1,
        "rms_norm_eps": config.norm_eps,
        "rope_scaling": None,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": False,
        "torch_dtype": dtype.name,
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }
