"""A model small enough to train in seconds, and trees to train it on."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from kcx_jax.data import TokenTree, token_tree
from kcx_jax.models import ModelConfig, init_params
from kcx_jax.training import LoopSettings

CONFIG = ModelConfig(vocab_size=64, hidden_size=32, intermediate_size=48, num_layers=2, num_heads=2)


def tiny_model(seed: int = 0) -> SimpleNamespace:
    """A random base in float32, without an adapter."""
    return SimpleNamespace(
        config=CONFIG, params=init_params(CONFIG, jax.random.key(seed)), lora=None, lora_config=None
    )


def tiny_trees(seed: int = 0, samples: int = 24) -> list[TokenTree]:
    """Two schemas of random tokens, with random samples; some have no context."""
    rng = np.random.default_rng(seed)

    def ids(low: int, high: int) -> list[int]:
        return rng.integers(3, 64, rng.integers(low, high)).tolist()

    return [
        token_tree(ids(8, 20), [(ids(0, 7), [*ids(0, 5), 2]) for _ in range(samples)], f"tree {number}")
        for number in range(2)
    ]


def tiny_settings(**changes) -> LoopSettings:
    """Float32, two rows a step of four branches, two shapes."""
    values = {"dtype": "float32", "rows_per_step": 2, "branches": 4, "shapes": 2, "lora": {"rank": 4}}
    return LoopSettings.model_validate(values | changes)


@pytest.fixture
def silent():
    """A report that says nothing."""
    return lambda metrics: None
