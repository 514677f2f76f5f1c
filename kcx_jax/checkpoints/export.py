"""Models out: the Baichuan2 layout, plain Llama, and PEFT adapters. Each is written whole or not at all."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np

from kcx_jax.checkpoints import peft
from kcx_jax.checkpoints.card import write_card
from kcx_jax.checkpoints.folder import verify, write_json, write_weights
from kcx_jax.checkpoints.layouts import (
    Tensors,
    adapter_tensors,
    baichuan_config,
    baichuan_tensors,
    llama_config,
    llama_tensors,
)
from kcx_jax.checkpoints.model import LoadedModel
from kcx_jax.checkpoints.stored import DTYPES, Progress
from kcx_jax.checkpoints.tensor_file import TensorSource, read_header, write_tensors
from kcx_jax.checkpoints.weights import open_weights
from kcx_jax.errors import UsageError
from kcx_jax.files import new_folder
from kcx_jax.lora import fuse, split
from kcx_jax.models import ModelConfig
from kcx_jax.tokenizer import Tokenizer
from kcx_jax.tokenizer.chat import ASSISTANT_ID, USER_ID
from kcx_jax.tokenizer.fast import save_fast

Format = Literal["baichuan", "llama", "peft"]

_ROLES = {"user_token_id": USER_ID, "assistant_token_id": ASSISTANT_ID}


def save_pretrained(
    out: str | Path,
    config: ModelConfig,
    params: Any,
    tokenizer: Tokenizer,
    *,
    dtype: str | None = None,
    shard_size: int | str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a model that was trained here as a folder in the released Baichuan2 layout, and return the
    folder.

    `dtype` as in `load_pretrained` (None: as it is), `shard_size` in bytes or like "5GB" (None: one file).
    Raises `KcxError` when `out` exists and `overwrite` is false (the replaced folder is kept beside it), or
    when the disk does not take it.
    """
    stored = _dtype(dtype, params)
    tensors = baichuan_tensors(config, params, None, None, stored)
    with new_folder(Path(out), overwrite) as work:
        _write_baichuan(work, config, tokenizer, None, stored)
        _write_checked(work, tensors, shard_size)
    return Path(out)


def export_pretrained(
    model: LoadedModel,
    out: str | Path,
    format: Format = "baichuan",
    dtype: str | None = None,
    shard_size: int | str | None = None,
    overwrite: bool = False,
    qkv: Literal["fused", "split"] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write `model` for other programs, and return the folder.

    "baichuan": the released layout, an adapter merged in (float32 sum, one rounding), the head's raw rows.
    "llama": the same model as a plain `LlamaForCausalLM` that needs no remote code: q, k, v apart, the head's
    rows normalised in float32, a `tokenizer.json` with the same ids; a model of the Llama family stays what it is.
    "peft": the adapter alone, for a base whose files hold q, k and v as `qkv` says: "fused" in W_pack, or "split"
    (None: as the model's family has them). Splitting W_pack's pair keeps the rank, fusing three pairs adds theirs up.

    Every tensor is read back and compared before the folder gets its name; `progress` is told of the weights' bytes,
    once as they are written and once as they are read back. `dtype`, `shard_size`, `overwrite` and errors as in
    `save_pretrained`; `UsageError` for "peft" without an adapter, and for the other formats with a base in 8 bits.
    """
    if format not in get_args(Format):
        raise UsageError(f"format must be one of {', '.join(get_args(Format))}, found {format!r}.")
    if format == "peft":
        return _export_adapter(model, Path(out), dtype, overwrite, qkv)
    if qkv is not None:
        raise UsageError(f"qkv tells which base an adapter is for; the layout {format} has its own.")
    model.refuse_quantised("export")
    stored = _dtype(dtype, model.params)
    make: Callable[..., Tensors] = llama_tensors if format == "llama" else baichuan_tensors
    tensors = make(model.config, model.params, model.lora, model.lora_config, stored)
    write = _write_llama if format == "llama" else _write_baichuan
    with new_folder(Path(out), overwrite) as work:
        write(work, model.config, model.tokenizer, model.generation, stored)
        write_card(work, model, format, stored)
        _write_checked(work, tensors, shard_size, progress)
    return Path(out)


def _export_adapter(
    model: LoadedModel, out: Path, dtype: str | None, overwrite: bool, qkv: Literal["fused", "split"] | None
) -> Path:
    if model.lora_config is None:
        raise UsageError(f"{model.name} was loaded without an adapter: there is nothing to export as peft.")
    fused = model.config.family == "baichuan" if qkv is None else qkv == "fused"
    lora, lora_config = (fuse if fused else split)(model.lora, model.lora_config, model.config.qkv_rows)
    stored = _dtype(dtype, lora)
    tensors = adapter_tensors(model.config, lora, lora_config, stored)
    with new_folder(out, overwrite) as work:
        write_json(work / peft.CONFIG_FILE, peft.adapter_settings(lora_config, model.name))
        write_card(work, replace(model, lora=lora, lora_config=lora_config), "peft", stored)
        checksums = write_tensors(work / peft.WEIGHTS_FILE, tensors)
        verify(read_header(work / peft.WEIGHTS_FILE), checksums, work)
    return out


def _dtype(asked: str | None, tree: Any) -> np.dtype:
    if asked is None:
        return np.dtype(jax.tree.leaves(tree)[0].dtype)
    if asked not in DTYPES:
        raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, found {asked!r}.")
    return DTYPES[asked]


def _write_checked(
    folder: Path, tensors: Tensors, shard_size: int | str | None, progress: Progress | None = None
) -> None:
    """Write all tensors and read them back; every byte counts twice in `progress`."""
    done, total = 0, 2 * sum(source.nbytes for source in tensors.values())

    def told(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        if progress is not None:
            progress(done, total)

    def made(source: TensorSource) -> Any:
        array = source.make()
        told(source.nbytes)
        return array

    counted = {name: replace(source, make=partial(made, source)) for name, source in tensors.items()}
    checksums = write_weights(folder, counted, shard_size)
    verify(open_weights(folder), checksums, folder, told)


def _write_baichuan(
    folder: Path, config: ModelConfig, tokenizer: Tokenizer, generation: dict | None, dtype: np.dtype
) -> None:
    write_json(folder / "config.json", baichuan_config(config, dtype))
    write_json(folder / "generation_config.json", generation or {**_greedy(config), **_ROLES})
    tokenizer.save(folder)


def _write_llama(
    folder: Path, config: ModelConfig, tokenizer: Tokenizer, generation: dict | None, dtype: np.dtype
) -> None:
    write_json(folder / "config.json", llama_config(config, dtype))
    write_json(folder / "generation_config.json", generation or _greedy(config))
    save_fast(tokenizer, folder)


def _greedy(config: ModelConfig) -> dict[str, Any]:
    return {
        "pad_token_id": config.pad_id,
        "bos_token_id": config.bos_id,
        "eos_token_id": config.eos_id,
        "do_sample": False,
        "transformers_version": "4.29.2",
    }
