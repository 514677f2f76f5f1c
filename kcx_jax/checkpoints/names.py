"""Which tensor of a Hugging Face file is which of our parameters. The one table, read in both directions.

Our layers are stacked on a first axis; files name them one by one. Matrices are [out, in] on both sides. Queries, keys
and values are one kernel here and in Baichuan2's files, three in those of the Llama family.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from kcx_jax.lora import LoraConfig
from kcx_jax.models import ModelConfig, abstract_lora, abstract_params

_MODULES = {
    "embed_tokens": "model.embed_tokens",
    "norm": "model.norm",
    "lm_head": "lm_head",
    "input_layernorm": "input_layernorm",
    "post_attention_layernorm": "post_attention_layernorm",
    "W_pack": "self_attn.W_pack",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "q_norm": "self_attn.q_norm",
    "k_norm": "self_attn.k_norm",
    "o_proj": "self_attn.o_proj",
    "gate_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "down_proj": "mlp.down_proj",
}
"""Parameter -> module in files; a layer's modules lie below `model.layers.N`."""


@dataclass(frozen=True)
class Place:
    """Where one file tensor lies in our tree: in the leaf at `path`, at index `layer` if that is stacked, at `rows` of
    it if it is a part (None: all).
    """

    path: tuple[str, ...]
    layer: int | None
    shape: tuple[int, ...]
    rows: slice | None = None

    def of(self, tree: Mapping[str, Any]) -> Any:
        """The array of this place."""
        leaf: Any = reduce(lambda branch, key: branch[key], self.path, tree)
        own = leaf if self.layer is None else leaf[self.layer]
        return own if self.rows is None else own[self.rows]


def param_places(config: ModelConfig, fused: bool | None = None) -> dict[str, Place]:
    """Tensor name in a file -> its place in `params`, layer by layer as in released files.

    `fused`: whether files have W_pack rather than q_proj, k_proj and v_proj (None: as the family has it).
    """
    fused = config.family == "baichuan" if fused is None else fused
    tree = abstract_params(config)
    outer = {
        f"{_MODULES[name]}.weight": Place((name,), None, leaf.shape)
        for name, leaf in tree.items()
        if name != "layers"
    }
    layers = {
        f"model.layers.{layer}.{module}": Place(
            ("layers", name), layer, (*_height(rows, leaf), *leaf.shape[2:]), rows
        )
        for layer in range(config.num_layers)
        for name, leaf in tree["layers"].items()
        for module, rows in _parts(name, config, fused)
    }
    return {**outer, **layers}


def _parts(name: str, config: ModelConfig, fused: bool) -> Iterator[tuple[str, slice | None]]:
    """The tensors that make up a parameter of a layer, with the rows of each."""
    kernel, kind = (name.removesuffix("_bias"), "bias") if name.endswith("_bias") else (name, "weight")
    if kernel != "W_pack" or fused:
        yield f"{_MODULES[kernel]}.{kind}", None
    else:
        for part, rows in config.qkv_rows.items():
            yield f"{_MODULES[part]}.{kind}", rows


def _height(rows: slice | None, leaf: Any) -> tuple[int, ...]:
    return leaf.shape[1:2] if rows is None else (rows.stop - rows.start,)


def adapter_places(config: ModelConfig, lora: LoraConfig) -> dict[str, Place]:
    """Tensor name in a PEFT file -> its place in `lora`."""
    return {
        f"base_model.model.model.layers.{layer}.{_MODULES[name]}.lora_{matrix}.weight": Place(
            ("layers", name, matrix), layer, leaf.shape[1:]
        )
        for layer in range(config.num_layers)
        for name, pair in abstract_lora(config, lora)["layers"].items()
        for matrix, leaf in pair.items()
    }
