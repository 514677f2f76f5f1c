"""The model's configuration: what Baichuan2-7B's `config.json` says, checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from kcx_jax.errors import KcxError

# Our field -> the key of config.json. The keys of sizes must be there, the others have defaults.
_SIZES = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "max_positions": "max_position_embeddings",
}
_IDS = {"pad_id": "pad_token_id", "bos_id": "bos_token_id", "eos_id": "eos_token_id"}
_POSITIVE = {"norm_eps": "rms_norm_eps", "rope_theta": "rope_theta"}
_WEIGHTS = {"z_loss_weight": "z_loss_weight"}


@dataclass(frozen=True)
class ModelConfig:
    """A Baichuan2-7B-shaped model of any size: RoPE, fused W_pack, SwiGLU, NormHead, untied head, no biases.

    Raises `KcxError` when the values do not fit together or ask for what is not computed here.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    max_positions: int = 4096
    norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    z_loss_weight: float = 0.0

    def __post_init__(self) -> None:
        def check(names: Mapping[str, str], kind: type, allowed: str, fits: Callable[[Any], bool]) -> None:
            for name, key in names.items():
                value = getattr(self, name)
                number = isinstance(value, int | kind) and not isinstance(value, bool)
                if not number or not fits(value):
                    raise KcxError(f"model config: {key} must be {allowed}, found {value!r}.")

        check(_SIZES, int, "a positive whole number", lambda size: size > 0)
        check(_IDS, int, f"an id below {self.vocab_size}", lambda token: 0 <= token < self.vocab_size)
        check(_POSITIVE, float, "a positive number", lambda x: 0 < x < inf)
        check(_WEIGHTS, float, "zero or a positive number", lambda x: 0 <= x < inf)
        if self.hidden_size % (2 * self.num_heads):
            raise KcxError(
                f"model config: hidden_size {self.hidden_size} must be a multiple of twice "
                f"num_attention_heads ({self.num_heads}): heads of equal, even width, "
                "as RoPE rotates pairs of channels."
            )

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def num_kv_heads(self) -> int:
        """Heads of keys and values: as many as query heads (no grouped-query attention)."""
        return self.num_heads

    @classmethod
    def from_hf(cls, config: Mapping[str, Any], where: str = "config.json") -> Self:
        """Read the keys of a `config.json`. Raises `KcxError`, naming `where`, for another architecture."""
        _refuse_others(config, where)
        missing = [key for key in _SIZES.values() if config.get(key) is None]
        if missing:
            raise KcxError(f"{where}: missing {', '.join(missing)}.")
        keys = _SIZES | _IDS | _POSITIVE | _WEIGHTS
        try:
            return cls(**{name: config[key] for name, key in keys.items() if config.get(key) is not None})
        except KcxError as error:
            raise KcxError(f"{where}: {error}") from error

    def to_hf(self) -> dict[str, Any]:
        """The keys of Baichuan2-7B's released `config.json` that describe the model (no code map, no
        dtype).
        """
        config = {
            "architectures": ["BaichuanForCausalLM"],
            "tokenizer_class": "BaichuanTokenizer",
            "bos_token_id": self.bos_id,
            "eos_token_id": self.eos_id,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_positions,
            "model_max_length": self.max_positions,
            "model_type": "baichuan",
            "num_attention_heads": self.num_heads,
            "num_hidden_layers": self.num_layers,
            "pad_token_id": self.pad_id,
            "rms_norm_eps": self.norm_eps,
            "tie_word_embeddings": False,
            "use_cache": True,
            "vocab_size": self.vocab_size,
        }
        if self.rope_theta != 10000.0:
            config["rope_theta"] = self.rope_theta
        if self.z_loss_weight:
            config["z_loss_weight"] = self.z_loss_weight
        return config


def _refuse_others(config: Mapping[str, Any], where: str) -> None:
    """Raise for whatever would be computed wrongly as a Baichuan2-7B."""

    def refuse(what: str) -> None:
        raise KcxError(f"{where}: {what}; only Baichuan2-7B's architecture is computed so far.")

    if config.get("model_type") != "baichuan":
        refuse(f"model_type is {config.get('model_type')!r}")
    if "BaiChuanForCausalLM" in (config.get("architectures") or []):
        refuse("this is Baichuan 1 (class BaiChuanForCausalLM, plain head)")
    if "max_position_embeddings" not in config and "model_max_length" in config:
        refuse(
            "no max_position_embeddings beside model_max_length: this is a 13B, with ALiBi in place of RoPE"
        )
    if config.get("hidden_act", "silu") != "silu":
        refuse(f"hidden_act is {config['hidden_act']!r}")
    heads = config.get("num_attention_heads")
    if config.get("num_key_value_heads", heads) != heads:
        refuse(f"num_key_value_heads {config['num_key_value_heads']} != {heads} is grouped-query attention")
    for key in ("tie_word_embeddings", "rope_scaling", "attention_bias", "quantization_config"):
        if config.get(key):
            refuse(f"{key} is {config[key]!r}")
