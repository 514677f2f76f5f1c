"""`config.json` of each family, read and written. What is not computed here is refused by its key."""

import re
from collections.abc import Callable, Mapping
from math import log
from typing import Any, get_args

from kcx_jax.errors import KcxError
from kcx_jax.models.config import Family, ModelConfig
from kcx_jax.ops.rope import Linear, Llama3, Rope, Yarn

Json = Mapping[str, Any]

# Our field -> the key of config.json.
_SIZES = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
}
_POSITIONS, _BAICHUAN_POSITIONS = "max_position_embeddings", "model_max_length"
_SHARED = {
    **_SIZES,
    "max_positions": _POSITIONS,
    "norm_eps": "rms_norm_eps",
    "z_loss_weight": "z_loss_weight",
    "kv_heads": "num_key_value_heads",
    "channels": "head_dim",
    "bos_id": "bos_token_id",
}
_CLASSES: dict[Family, str] = {
    "baichuan": "BaichuanForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}


def config_from_hf(config: Json, where: str = "config.json") -> ModelConfig:
    """Read the keys of a `config.json`. Raises `KcxError`, naming `where`, for what is not computed here."""
    family = _family(config, where)
    refuse = _refuser(where)
    _check_common(config, refuse)
    missing = [key for key in _SIZES.values() if config.get(key) is None]
    if missing:
        raise KcxError(f"{where}: missing {', '.join(missing)}.")
    values = {name: config[key] for name, key in _SHARED.items() if config.get(key) is not None}
    values |= _ids(config)
    values |= _FAMILIES[family](config, refuse)
    try:
        return ModelConfig(family=family, **values)
    except KcxError as error:
        raise KcxError(f"{where}: {_in_hf_names(str(error))}") from error


def config_to_hf(config: ModelConfig) -> dict[str, Any]:
    """The keys of the family's `config.json` that describe the model (no code map, no dtype)."""
    described: dict[str, Any] = {
        "architectures": [_CLASSES[config.family]],
        "model_type": config.family,
        "bos_token_id": config.bos_id,
        "eos_token_id": config.eos_id,
        "pad_token_id": config.pad_id,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "num_attention_heads": config.num_heads,
        "num_hidden_layers": config.num_layers,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied_head,
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }
    if config.z_loss_weight:
        described["z_loss_weight"] = config.z_loss_weight
    if config.rope is not None:
        described["max_position_embeddings"] = config.max_positions
        described |= _rope_to_hf(config.rope, always=config.family != "baichuan")
    if config.family == "baichuan":
        return {**described, "tokenizer_class": "BaichuanTokenizer", "model_max_length": config.max_positions}
    return {
        **described,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        **_biases_to_hf(config),
        **_window_to_hf(config),
    }


def _family(config: Json, where: str) -> Family:
    found = config.get("model_type")
    for family in get_args(Family):
        if family == found:
            return family
    raise KcxError(f"{where}: model_type is {found!r}; computed are {', '.join(get_args(Family))}.")


def _refuser(where: str) -> Callable[[str], None]:
    def refuse(what: str) -> None:
        raise KcxError(f"{where}: {what}; that is not computed here.")

    return refuse


def _check_common(config: Json, refuse: Callable[[str], None]) -> None:
    if config.get("hidden_act", "silu") != "silu":
        refuse(f"hidden_act is {config['hidden_act']!r}")
    if config.get("quantization_config"):
        refuse(f"quantization_config is {config['quantization_config']!r}")


def _in_hf_names(message: str) -> str:
    """An error of `ModelConfig` in the words of config.json."""
    words = {**_SHARED, "eos_id": "eos_token_id", "pad_id": "pad_token_id", "window": "sliding_window"}
    return re.sub(r"\w+", lambda match: words.get(match[0], match[0]), message)


def _ids(config: Json) -> dict[str, Any]:
    """End and padding ids. Of several end ids the first one; a model without a padding id is padded with it."""
    eos = config.get("eos_token_id", 2)
    if isinstance(eos, list) and eos:
        eos = eos[0]
    if eos is None:
        eos = 0
    pad = config.get("pad_token_id")
    return {"eos_id": eos, "pad_id": eos if pad is None else pad}


def _baichuan(config: Json, refuse: Callable[[str], None]) -> dict[str, Any]:
    """7B has RoPE; 13B has ALiBi, told by a config without max_position_embeddings."""
    if "BaiChuanForCausalLM" in (config.get("architectures") or []):
        refuse("this is Baichuan 1 (class BaiChuanForCausalLM, plain head)")
    heads = config["num_attention_heads"]
    if config.get("num_key_value_heads", heads) != heads:
        refuse(f"num_key_value_heads {config['num_key_value_heads']} != {heads} in a Baichuan model")
    for key in ("tie_word_embeddings", "attention_bias"):
        if config.get(key):
            refuse(f"{key} is {config[key]!r} in a Baichuan model")
    pad = {"pad_id": config["pad_token_id"] if config.get("pad_token_id") is not None else 0}
    if _POSITIONS not in config and _BAICHUAN_POSITIONS in config:
        return {"rope": None, "max_positions": config[_BAICHUAN_POSITIONS], **pad}
    return {"rope": _rope(config, refuse), **pad}


def _llama(config: Json, refuse: Callable[[str], None]) -> dict[str, Any]:
    biased = bool(config.get("attention_bias"))
    return {
        "rope": _rope(config, refuse),
        "norm_head": False,
        "tied_head": bool(config.get("tie_word_embeddings")),
        "qkv_bias": biased,
        "o_bias": biased,
        "mlp_bias": bool(config.get("mlp_bias")),
    }


def _mistral(config: Json, refuse: Callable[[str], None]) -> dict[str, Any]:
    return {**_llama(config, refuse), "window": config.get("sliding_window")}


def _qwen2(config: Json, refuse: Callable[[str], None]) -> dict[str, Any]:
    return {
        **_llama(config, refuse),
        "qkv_bias": True,
        "o_bias": False,
        "window": _qwen_window(config, refuse),
    }


def _qwen3(config: Json, refuse: Callable[[str], None]) -> dict[str, Any]:
    return {
        **_llama(config, refuse),
        "channels": config.get("head_dim", 128),
        "qk_norm": True,
        "window": _qwen_window(config, refuse),
    }


_FAMILIES: dict[str, Callable[[Json, Callable[[str], None]], dict[str, Any]]] = {
    "baichuan": _baichuan,
    "llama": _llama,
    "mistral": _mistral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
}


def _qwen_window(config: Json, refuse: Callable[[str], None]) -> int | None:
    """The window of all layers; layers of two kinds are refused."""
    layers = config["num_hidden_layers"]
    kinds = set(config.get("layer_types") or ())
    if not kinds and config.get("use_sliding_window") and isinstance(layers, int):
        kinds = {
            "sliding_attention" if layer >= config.get("max_window_layers", 28) else "full_attention"
            for layer in range(layers)
        }
    if kinds <= {"full_attention"} or config.get("sliding_window") is None:
        return None
    if kinds != {"sliding_attention"}:
        refuse(f"its layers differ in attention ({', '.join(sorted(kinds))})")
    return config["sliding_window"]


def _rope(config: Json, refuse: Callable[[str], None]) -> Rope:
    """From rope_theta and rope_scaling, or from rope_parameters, which newer files have in their place."""
    given = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = given.get("rope_theta") or config.get("rope_theta") or 10000.0
    kind = given.get("rope_type") or given.get("type") or "default"
    if (given.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0) != 1.0:
        refuse("partial_rotary_factor turns a part of the channels only")
    if not isinstance(theta, int | float) or not theta > 0:
        refuse(f"rope_theta is {theta!r}")
    if kind == "default":
        return Rope(float(theta))
    original = given.get("original_max_position_embeddings") or config.get(_POSITIONS) or 0
    try:
        if kind == "linear":
            return Rope(float(theta), Linear(float(given["factor"])))
        if kind == "llama3":
            low, high = float(given["low_freq_factor"]), float(given["high_freq_factor"])
            return Rope(float(theta), Llama3(float(given["factor"]), low, high, int(original)))
        if kind == "yarn":
            return Rope(float(theta), _yarn(given, int(original)))
    except (KeyError, TypeError, ValueError) as error:
        refuse(f"rope_scaling {dict(given)!r} lacks or garbles a value ({error})")
    refuse(f"rope_scaling of type {kind!r}")
    raise AssertionError("refuse raises")


def _yarn(given: Json, original: int) -> Yarn:
    factor = float(given["factor"])
    return Yarn(
        factor,
        original,
        beta_fast=float(given.get("beta_fast") or 32),
        beta_slow=float(given.get("beta_slow") or 1),
        magnitude=_yarn_magnitude(given, factor),
        truncate=bool(given.get("truncate", True)),
    )


def _yarn_magnitude(given: Json, factor: float) -> float:
    """The factor on queries and keys: as given, or 0.1 log(factor) + 1 with the weights `mscale` of some files."""

    def grown(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * log(factor) + 1

    if given.get("attention_factor") is not None:
        return float(given["attention_factor"])
    if given.get("mscale") and given.get("mscale_all_dim"):
        return grown(float(given["mscale"])) / grown(float(given["mscale_all_dim"]))
    return grown(1.0)


def _rope_to_hf(rope: Rope, always: bool) -> dict[str, Any]:
    """rope_theta and rope_scaling, which old and new versions of transformers read."""
    described: dict[str, Any] = {"rope_theta": rope.theta} if always or rope.theta != 10000.0 else {}
    match rope.scaling:
        case None:
            return {**described, "rope_scaling": None} if always else described
        case Linear(factor):
            scaling = {"rope_type": "linear", "factor": factor}
        case Llama3(factor, low, high, original):
            scaling = {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": original,
            }
        case Yarn(factor, original, fast, slow, magnitude, truncate):
            scaling = {
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original,
                "beta_fast": fast,
                "beta_slow": slow,
                "attention_factor": magnitude,
                "truncate": truncate,
            }
    return {**described, "rope_scaling": scaling}


def _biases_to_hf(config: ModelConfig) -> dict[str, Any]:
    if config.family == "qwen2":
        return {}
    biases = {"attention_bias": config.qkv_bias}
    return {**biases, "mlp_bias": config.mlp_bias} if config.family == "llama" else biases


def _window_to_hf(config: ModelConfig) -> dict[str, Any]:
    if config.family == "mistral":
        return {"sliding_window": config.window}
    if config.family in ("qwen2", "qwen3"):
        kind = "full_attention" if config.window is None else "sliding_attention"
        return {
            "use_sliding_window": config.window is not None,
            "sliding_window": config.window,
            "max_window_layers": 0,
            "layer_types": [kind] * config.num_layers,
        }
    return {}
