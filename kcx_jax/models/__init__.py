"""Model configurations, the Linen transformer (Baichuan2 and the Llama family) and the sharding table.

Lives here: what is computed and where its arrays lie. Not here: loading (`checkpoints`), loops (`training`).
"""

from kcx_jax.models.config import ModelConfig
from kcx_jax.models.frozen import BaseDtype, base_formats, frozen_base, quantisation_of
from kcx_jax.models.hf_config import config_from_hf, config_to_hf
from kcx_jax.models.parameters import (
    abstract_lora,
    abstract_params,
    bytes_per_device,
    init_lora,
    init_params,
    lora_shardings,
    param_shardings,
)
from kcx_jax.models.sharding import abstract_mesh, batch_sharding, make_mesh
from kcx_jax.models.transformer import Transformer, empty_cache, laid_cache, output_head, unstacked

__all__ = [
    "BaseDtype",
    "ModelConfig",
    "Transformer",
    "abstract_lora",
    "abstract_mesh",
    "abstract_params",
    "base_formats",
    "batch_sharding",
    "bytes_per_device",
    "config_from_hf",
    "config_to_hf",
    "empty_cache",
    "frozen_base",
    "init_lora",
    "init_params",
    "laid_cache",
    "lora_shardings",
    "make_mesh",
    "output_head",
    "param_shardings",
    "quantisation_of",
    "unstacked",
]
