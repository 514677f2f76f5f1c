"""A model small enough to train in seconds, and random trees to train it on."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from kcx_jax.data import TokenTree, token_tree
from kcx_jax.models import ModelConfig, init_params
from kcx_jax.training import LoopSettings

TINY = ModelConfig(vocab_size=64, hidden_size=32, intermediate_size=48, num_layers=2, num_heads=2)


@dataclass
class TinyModel:
    """What the training loop takes: a random base in float32, and an adapter if one is put there."""

    config: ModelConfig
    params: Any
    lora: Any = None
    lora_config: Any = None


def tiny_model(seed: int = 0) -> TinyModel:
    """A model of `TINY`; the same seed gives the same weights."""
    return TinyModel(TINY, init_params(TINY, jax.random.key(seed)))


def tiny_trees(seed: int = 0, samples: int = 24) -> list[TokenTree]:
    """Two schemas of random tokens, with `samples` random samples each; some have no context."""
    rng = np.random.default_rng(seed)

    def ids(low: int, high: int) -> list[int]:
        return rng.integers(3, TINY.vocab_size, rng.integers(low, high)).tolist()

    return [
        token_tree(ids(8, 20), [(ids(0, 7), [*ids(0, 5), TINY.eos_id]) for _ in range(samples)], f"tree {n}")
        for n in range(2)
    ]


def tiny_settings(**changes: Any) -> LoopSettings:
    """Float32, LoRA of rank 4, two rows a step of four branches, two shapes; then `changes`."""
    values = {"dtype": "float32", "rows_per_step": 2, "branches": 4, "shapes": 2, "lora": {"rank": 4}}
    return LoopSettings.model_validate(values | changes)
