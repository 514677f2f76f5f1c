"""Which tensor of a Hugging Face file is which of our parameters. The one table, read in both directions.

Our layers are stacked on a first axis; files name them one by one. Matrices are [out, in] on both sides.
"""

from collections.abc import Mapping
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
    "o_proj": "self_attn.o_proj",
    "gate_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "down_proj": "mlp.down_proj",
}
"""Parameter -> module in files; a layer's modules lie below `model.layers.N`."""


@dataclass(frozen=True)
class Place:
    """Where one file tensor lies in our tree: in the leaf at `path`, at index `layer` if that is stacked."""

    path: tuple[str, ...]
    layer: int | None
    shape: tuple[int, ...]

    def of(self, tree: Mapping[str, Any]) -> Any:
        """The array of this place."""
        leaf = reduce(lambda branch, key: branch[key], self.path, tree)
        return leaf if self.layer is None else leaf[self.layer]  # type: ignore[index]


def param_places(config: ModelConfig) -> dict[str, Place]:
    """Tensor name in a Baichuan2 file -> its place in `params`, layer by layer as in the released files."""
    tree = abstract_params(config)
    outer = {
        f"{_MODULES[name]}.weight": Place((name,), None, leaf.shape)
        for name, leaf in tree.items()
        if name != "layers"
    }
    layers = {
        f"model.layers.{layer}.{_MODULES[name]}.weight": Place(("layers", name), layer, leaf.shape[1:])
        for layer in range(config.num_layers)
        for name, leaf in tree["layers"].items()
    }
    return {**outer, **layers}


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
