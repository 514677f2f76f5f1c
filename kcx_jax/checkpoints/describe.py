"""What a folder of weights holds, from its headers alone."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

from kcx_jax.checkpoints import peft
from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.stored import DTYPES, StoredTensor
from kcx_jax.checkpoints.weights import fingerprint, open_model, open_weights, read_json
from kcx_jax.models import abstract_mesh, bytes_per_device, config_from_hf
from kcx_jax.models.config import Family

_MODEL_KEYS = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
)
_ADAPTER_KEYS = ("base_model_name_or_path", "r", "lora_alpha", "lora_dropout", "target_modules")


@dataclass(frozen=True)
class Description:
    """A model or an adapter on disk; `digest` tells one base from another ("" in layouts not read here)."""

    kind: Literal["model", "adapter"]
    layout: str
    settings: dict[str, Any]
    files: tuple[str, ...]
    parameters: int
    bytes: int
    parameters_by_dtype: dict[str, int]
    digest: str
    bytes_per_device: int | None = None  # of a model's weights in the dtype most of them are stored in


def describe(path_or_hub_id: str | Path, fsdp: int = 1, tensor: int = 1) -> Description:
    """Describe a model folder or an adapter folder, reading headers and samples only.

    `fsdp` and `tensor` are the axes of the mesh for which the memory of each device is told. A folder of a family
    that is read here is checked to be whole. Raises `KcxError` for what is missing or damaged, `UsageError` where the
    model does not divide over the mesh.
    """
    folder = local_folder(path_or_hub_id)
    if (folder / peft.CONFIG_FILE).exists():
        settings = read_json(folder / peft.CONFIG_FILE)
        tensors = peft.open_adapter_weights(folder).values()
        return _describe("adapter", str(settings.get("peft_type")), settings, _ADAPTER_KEYS, tensors)
    settings = read_json(folder / "config.json")
    known = settings.get("model_type") in get_args(Family)
    config = config_from_hf(settings, where=str(folder / "config.json")) if known else None
    stored = open_weights(folder) if config is None else open_model(folder, config)
    found = _describe("model", str(settings.get("model_type")), settings, _MODEL_KEYS, stored.values())
    if config is not None:
        dtype = max(found.parameters_by_dtype, key=lambda name: found.parameters_by_dtype[name])
        each = bytes_per_device(config, DTYPES[dtype], abstract_mesh(fsdp=fsdp, tensor=tensor))
        return replace(found, digest=fingerprint(config, stored)["values"], bytes_per_device=each)
    return found


def _describe(
    kind: Literal["model", "adapter"],
    layout: str,
    settings: dict[str, Any],
    keys: Iterable[str],
    tensors: Iterable[StoredTensor],
) -> Description:
    tensors = list(tensors)
    by_dtype: Counter[str] = Counter()
    for tensor in tensors:
        by_dtype[tensor.dtype.name] += prod(tensor.shape)
    return Description(
        kind=kind,
        layout=layout,
        settings={key: settings[key] for key in keys if key in settings},
        files=tuple(sorted({tensor.file.name for tensor in tensors})),
        parameters=sum(by_dtype.values()),
        bytes=sum(prod(tensor.shape) * tensor.dtype.itemsize for tensor in tensors),
        parameters_by_dtype=dict(by_dtype),
        digest="",
    )
