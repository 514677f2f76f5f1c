"""A model folder, with or without PEFT adapters, onto the devices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from kcx_jax.checkpoints.card import read_training
from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.model import LoadedModel
from kcx_jax.checkpoints.names import adapter_places, param_places
from kcx_jax.checkpoints.peft import open_adapter
from kcx_jax.checkpoints.placing import place
from kcx_jax.checkpoints.stored import DTYPES, Progress, StoredTensor
from kcx_jax.checkpoints.weights import fingerprint, open_model, read_json
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.lora import LoraConfig, joined
from kcx_jax.models import (
    ModelConfig,
    Transformer,
    abstract_lora,
    abstract_params,
    base_formats,
    config_from_hf,
    lora_shardings,
    param_shardings,
)
from kcx_jax.ops.quantised import QUANTISED_DTYPES
from kcx_jax.tokenizer import Tokenizer, load_tokenizer


def load_pretrained(
    path_or_hub_id: str | Path,
    adapter: str | Path | Sequence[str | Path] | None = None,
    dtype: str | None = "bfloat16",
    mesh: Mesh | None = None,
    progress: Progress | None = None,
    base_dtype: str | None = None,
) -> LoadedModel:
    """Load a checkpoint folder (or a Hub id) of Baichuan2 or the Llama family, and PEFT LoRA adapters on top.

    Several adapters, a chain tuned one on top of the other, become one of the summed rank.

    `dtype` is that of the weights on the device and of the computation ("float32", "bfloat16" or "float16";
    None keeps the stored one); an adapter stays in float32. `base_dtype` holds the weights in another one, or the
    layers' matrices in 8 bits ("int8", "fp8"), quantised one layer at a time as they are read. With a mesh the
    arrays lie as `models.param_shardings` says, without one on the first device; every process reads only the bytes
    its devices hold (of quantised matrices whole rows). `progress` is told of the base's bytes as they arrive.

    Raises `KcxError` naming file, tensor, expected and found, for anything missing, unexpected or damaged.
    """
    if dtype not in (None, *DTYPES):
        raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, found {dtype!r}.")
    if base_dtype not in (None, *DTYPES, *QUANTISED_DTYPES):
        allowed = ", ".join([*DTYPES, *QUANTISED_DTYPES])
        raise UsageError(f"base_dtype must be one of {allowed}, found {base_dtype!r}.")
    folder = local_folder(path_or_hub_id)
    config = config_from_hf(read_json(folder / "config.json"), where=str(folder / "config.json"))
    tokenizer = load_tokenizer(folder)
    _refuse_other_vocabulary(config, tokenizer, folder)
    config = replace(config, eos_id=tokenizer.eos_id)  # answers are taught to end with the tokenizer's
    tensors, places = open_model(folder, config), param_places(config)
    stored = _stored_dtype(tensors) if dtype is None else jnp.dtype(dtype)
    held, quantisation = base_formats(stored, base_dtype)
    shardings = param_shardings(config, mesh, quantisation) if mesh else None
    params = place(abstract_params(config, held, quantisation), places, tensors, shardings, progress)
    chain = [adapter] if isinstance(adapter, str | Path) else list(adapter or ())
    lora, lora_config = _load_adapters(chain, config, mesh) if chain else (None, None)
    generation = folder / "generation_config.json"
    return LoadedModel(
        config=config,
        params=params,
        lora=lora,
        lora_config=lora_config,
        tokenizer=tokenizer,
        module=Transformer(config, lora_config, stored),
        mesh=mesh,
        name=str(path_or_hub_id),
        adapter_name=" + ".join(map(str, chain)) or None,
        fingerprint=fingerprint(config, tensors),
        generation=read_json(generation) if generation.exists() else None,
        training=read_training([folder, *map(local_folder, chain)]),
    )


def _load_adapters(
    chain: Sequence[str | Path], config: ModelConfig, mesh: Mesh | None
) -> tuple[Mapping[str, Any], LoraConfig]:
    """The adapters as one, in float32."""
    found = []
    for folder in chain:
        lora_config, tensors = open_adapter(local_folder(folder), config)
        shardings = lora_shardings(config, lora_config, mesh) if mesh else None
        pairs = abstract_lora(config, lora_config)
        found.append((place(pairs, adapter_places(config, lora_config), tensors, shardings), lora_config))
    lora, lora_config = joined(found, config.qkv_rows)
    if mesh is not None:
        lora = jax.device_put(lora, lora_shardings(config, lora_config, mesh))
    return lora, lora_config


def _stored_dtype(tensors: Mapping[str, StoredTensor]) -> np.dtype:
    """The dtype all tensors have, or float32, which holds every other exactly."""
    found = {tensor.dtype for tensor in tensors.values()}
    return found.pop() if len(found) == 1 else np.dtype(np.float32)


def _refuse_other_vocabulary(config: ModelConfig, tokenizer: Tokenizer, folder: Path) -> None:
    if tokenizer.vocab_size > config.vocab_size:
        raise KcxError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} pieces, the model's vocab_size is only "
            f"{config.vocab_size}: they do not belong together."
        )
