"""What a folder of weights holds, from its headers alone."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from kcx_jax.checkpoints import peft
from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.names import param_places
from kcx_jax.checkpoints.stored import StoredTensor
from kcx_jax.checkpoints.weights import check_tensors, fingerprint, open_weights, read_json
from kcx_jax.models import ModelConfig

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


def describe(path_or_hub_id: str | Path) -> Description:
    """Describe a model folder or an adapter folder, reading headers and samples only.

    A Baichuan2 folder is checked to be whole. Raises `KcxError` for what is missing or damaged.
    """
    folder = local_folder(path_or_hub_id)
    if (folder / peft.CONFIG_FILE).exists():
        settings = read_json(folder / peft.CONFIG_FILE)
        tensors = peft.open_adapter_weights(folder).values()
        return _describe("adapter", str(settings.get("peft_type")), settings, _ADAPTER_KEYS, tensors)
    settings = read_json(folder / "config.json")
    stored, digest = open_weights(folder), ""
    if settings.get("model_type") == "baichuan":
        config = ModelConfig.from_hf(settings, where=str(folder / "config.json"))
        check_tensors(stored, {name: place.shape for name, place in param_places(config).items()}, folder)
        digest = fingerprint(config, stored)["values"]
    return _describe("model", str(settings.get("model_type")), settings, _MODEL_KEYS, stored.values(), digest)


def _describe(
    kind: Literal["model", "adapter"],
    layout: str,
    settings: dict[str, Any],
    keys: Iterable[str],
    tensors: Iterable[StoredTensor],
    digest: str = "",
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
        digest=digest,
    )
