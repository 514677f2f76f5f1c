"""PEFT LoRA adapters: a folder with `adapter_config.json` and `adapter_model.safetensors`, in and out.

Old ones with `adapter_model.bin` come in as well. The tensors are A [r, in] and B [out, r] of each adapted
kernel, layer by layer.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from kcx_jax.checkpoints.names import adapter_places
from kcx_jax.checkpoints.pickle_file import read_pickle
from kcx_jax.checkpoints.stored import StoredTensor
from kcx_jax.checkpoints.tensor_file import read_header
from kcx_jax.checkpoints.weights import check_tensors, read_json
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.lora import TARGETS, LoraConfig
from kcx_jax.models import ModelConfig

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
OLD_WEIGHTS_FILE = "adapter_model.bin"  # PEFT's, before safetensors became its default

_TARGET = re.compile(r"base_model\.model\.model\.layers\.\d+\.(?:self_attn|mlp)\.(\w+)\.lora_[AB]\.weight")

# Settings under which an adapter computes something else than W x + (alpha / r) B A x, by their harmless
# values.
_PLAIN = {
    "peft_type": "LORA",
    "bias": "none",
    "fan_in_fan_out": False,
    "use_dora": False,
    "use_qalora": False,
    "use_bdlora": None,
    "lora_bias": False,
    "modules_to_save": None,
    "layers_to_transform": None,
    "layer_replication": None,
    "target_parameters": None,
    "trainable_token_indices": None,
    "alora_invocation_tokens": None,
}


def open_adapter(folder: Path, config: ModelConfig) -> tuple[LoraConfig, dict[str, StoredTensor]]:
    """An adapter's settings and its tensors by PEFT name, checked against the model, opened but not read.

    Raises `KcxError` naming file and
    key or tensor for what does not fit or is not computed here.
    """
    settings, where = read_json(folder / CONFIG_FILE), folder / CONFIG_FILE
    for key, plain in _PLAIN.items():
        if (settings.get(key, plain) or None) != (plain or None):
            raise KcxError(f"{where}: {key} is {settings[key]!r}; only plain LoRA is computed so far.")
    tensors = open_adapter_weights(folder)
    lora = _lora_config(settings, where, _targets(settings, tensors, where))
    expected = {name: place.shape for name, place in adapter_places(config, lora).items()}
    check_tensors(tensors, expected, folder)
    return lora, tensors


def open_adapter_weights(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of an adapter's folder by PEFT name, opened but not read; safetensors where both are there.

    Raises `KcxError` when there are none or the file is damaged.
    """
    if (folder / WEIGHTS_FILE).exists():
        return read_header(folder / WEIGHTS_FILE)
    if (folder / OLD_WEIGHTS_FILE).exists():
        return read_pickle(folder / OLD_WEIGHTS_FILE)
    raise KcxError(f"{folder} holds neither {WEIGHTS_FILE} nor {OLD_WEIGHTS_FILE}: no adapter to read.")


def _targets(settings: Mapping[str, Any], tensors: Mapping[str, Any], where: Path) -> tuple[str, ...]:
    """The adapted kernels: those listed (by name or by path in each layer), or those found where a pattern is given."""
    listed = settings.get("target_modules")
    if isinstance(listed, list):
        listed = {str(name).rpartition(".")[2] for name in listed}
    else:
        listed = {match[1] for name in tensors if (match := _TARGET.fullmatch(name))}
    unknown = sorted(name for name in listed if name not in TARGETS)
    if unknown or not listed:
        raise KcxError(
            f"{where}: target_modules {unknown or sorted(listed)} cannot be adapted here, only {', '.join(TARGETS)}."
        )
    return tuple(name for name in TARGETS if name in listed)


def _lora_config(settings: Mapping[str, Any], where: Path, targets: tuple[str, ...]) -> LoraConfig:
    rank, alpha, dropout = settings.get("r"), settings.get("lora_alpha"), settings.get("lora_dropout") or 0
    if type(rank) is not int or rank < 1 or not _is_number(alpha) or not _is_number(dropout):
        found = f"{rank!r}, {alpha!r}, {dropout!r}"
        raise KcxError(f"{where}: r, lora_alpha and lora_dropout must be numbers, found {found}.")
    rslora = bool(settings.get("use_rslora"))
    ranks = _pattern(settings, "rank_pattern", where, targets)
    alphas = _pattern(settings, "alpha_pattern", where, targets)
    try:
        return LoraConfig(rank, float(alpha), float(dropout), targets, rslora, ranks, alphas)
    except UsageError as error:
        raise KcxError(f"{where}: {error}") from error


def _pattern(settings: Mapping[str, Any], key: str, where: Path, targets: tuple[str, ...]) -> dict[str, Any]:
    """The values of single targets: PEFT's patterns as far as each names one target in all layers."""
    found: dict[str, Any] = {}
    given = settings.get(key) or {}
    if not isinstance(given, Mapping):
        raise KcxError(f"{where}: {key} must be an object, found {given!r}.")
    for pattern, value in given.items():
        name = pattern.rpartition(".")[2]
        if name not in targets or pattern not in (name, f"self_attn.{name}", f"mlp.{name}"):
            raise KcxError(
                f"{where}: {key} has {pattern!r}; only a target's name, for all layers, is computed here."
            )
        if not _is_number(value) or (key == "rank_pattern" and type(value) is not int):
            raise KcxError(f"{where}: {key} of {pattern!r} must be a number, found {value!r}.")
        found[name] = value
    return found


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and math.isfinite(value)


def adapter_settings(lora: LoraConfig, base: str) -> dict[str, Any]:
    """`adapter_config.json`: the keys every PEFT since 0.4 reads, and those of newer ones where they say something."""
    newer = {
        "alpha_pattern": dict(lora.alphas),
        "rank_pattern": dict(lora.ranks),
        "use_rslora": lora.rslora,
    }
    return {
        "auto_mapping": None,
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layers_pattern": None,
        "layers_to_transform": None,
        "lora_alpha": int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,
        "lora_dropout": lora.dropout,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": lora.rank,
        "revision": None,
        "target_modules": list(lora.targets),
        "task_type": "CAUSAL_LM",
        **{key: value for key, value in newer.items() if value},
    }
