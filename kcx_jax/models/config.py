"""What a model computes: one description for Baichuan2 and the Llama family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, get_args

from kcx_jax.errors import KcxError
from kcx_jax.ops.distance import Distance, alibi_slopes
from kcx_jax.ops.rope import Rope

Family = Literal["baichuan", "llama", "mistral", "qwen2", "qwen3"]
"""Whose `config.json` and tensor names a model has."""

PLAIN_ROPE = Rope()
_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_layers", "num_heads", "max_positions")


@dataclass(frozen=True)
class ModelConfig:
    """A pre-norm decoder with a SwiGLU MLP; the defaults are Baichuan2-7B's.

    Raises `KcxError` when the values do not fit together.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    max_positions: int = 4096
    norm_eps: float = 1e-6
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    z_loss_weight: float = 0.0
    family: Family = "baichuan"
    rope: Rope | None = PLAIN_ROPE  # None: ALiBi
    kv_heads: int | None = None  # of keys and values; None: as many as of queries
    channels: int | None = None  # of a head; None: hidden_size / num_heads
    window: int | None = None  # positions a query sees back, itself included; None: all
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False  # RMSNorm over the channels of each query and key
    norm_head: bool = True  # the head's rows are normalised
    tied_head: bool = False  # the head is the embedding table

    def __post_init__(self) -> None:
        def check(names: tuple[str, ...], kind: type, allowed: str, fits: Callable[[Any], bool]) -> None:
            for name in names:
                value = getattr(self, name)
                number = isinstance(value, int | kind) and not isinstance(value, bool)
                if not number or not fits(value):
                    raise KcxError(f"model config: {name} must be {allowed}, found {value!r}.")

        optional = tuple(
            name for name in ("kv_heads", "channels", "window") if getattr(self, name) is not None
        )
        check(_SIZES + optional, int, "a positive whole number", lambda size: size > 0)
        check(
            ("pad_id", "bos_id", "eos_id"),
            int,
            f"an id below {self.vocab_size}",
            lambda token: 0 <= token < self.vocab_size,
        )
        check(("norm_eps",), float, "a positive number", lambda x: 0 < x < inf)
        check(("z_loss_weight",), float, "zero or a positive number", lambda x: 0 <= x < inf)
        if self.family not in get_args(Family):
            raise KcxError(f"model config: family must be one of {', '.join(get_args(Family))}.")
        self._check_heads()
        # Said or left out, the same model: it is told from others by its config.
        if self.kv_heads == self.num_heads:
            object.__setattr__(self, "kv_heads", None)
        if self.channels is not None and self.channels * self.num_heads == self.hidden_size:
            object.__setattr__(self, "channels", None)

    def _check_heads(self) -> None:
        if self.channels is None and self.hidden_size % self.num_heads:
            raise KcxError(
                f"model config: hidden_size {self.hidden_size} must be a multiple of num_heads ({self.num_heads})."
            )
        if self.num_heads % self.num_kv_heads:
            raise KcxError(
                f"model config: num_heads {self.num_heads} must be a multiple of kv_heads ({self.num_kv_heads})."
            )
        if self.rope is not None and self.head_dim % 2:
            raise KcxError(
                f"model config: heads of {self.head_dim} channels, but RoPE rotates pairs: an even number is needed."
            )

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_heads if self.channels is None else self.channels

    @property
    def num_kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_heads if self.kv_heads is None else self.kv_heads

    @property
    def query_size(self) -> int:
        """Channels of all query heads."""
        return self.num_heads * self.head_dim

    @property
    def qkv_rows(self) -> Mapping[str, slice]:
        """Which rows of W_pack are whose: queries first, then keys, then values."""
        own = self.num_kv_heads * self.head_dim
        q = self.query_size
        return {"q_proj": slice(0, q), "k_proj": slice(q, q + own), "v_proj": slice(q + own, q + 2 * own)}

    @property
    def distance(self) -> Distance:
        """What the distance of a key does to attention."""
        return Distance(self.window, alibi_slopes(self.num_heads) if self.rope is None else None)
