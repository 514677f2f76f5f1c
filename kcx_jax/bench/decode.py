"""How fast answers are written after one schema, with random weights and answers of a fixed length."""

import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from kcx_jax.bench.workload import Lengths, memory_peak, random_params, random_tree
from kcx_jax.decoding import Generator
from kcx_jax.models import ModelConfig, Transformer
from kcx_jax.ops.numerics import inverse_row_norms
from kcx_jax.tokenizer import Tokenizer


@dataclass(frozen=True)
class RandomModel:
    """A model as `Generator` wants it."""

    config: ModelConfig
    module: Transformer
    variables: Any
    inverse_norms: jax.Array | None
    tokenizer: Any
    mesh: None = None
    generation: None = None


@dataclass(frozen=True)
class _Silent:
    """In place of a tokenizer: ids go in and out."""

    vocab_size: int

    def decode(self, ids: list[int]) -> str:
        return ""


def random_model(
    config: ModelConfig, dtype: str, params: Any = None, tokenizer: Tokenizer | None = None
) -> RandomModel:
    """`random_params` (or the given ones) computed in `dtype`; without a tokenizer answers have no text."""
    if params is None:
        params = random_params(config, dtype)
    module = Transformer(config, None, np.dtype(dtype) if dtype == "float32" else jax.numpy.bfloat16)
    norms = jax.jit(inverse_row_norms)(params["lm_head"]) if config.norm_head else None
    return RandomModel(config, module, {"params": params}, norms, tokenizer or _Silent(config.vocab_size))


def bench_decode(
    config: ModelConfig,
    lengths: Lengths,
    sentences: int,
    new_tokens: int,
    slots: int,
    dtype: str = "bfloat16",
    params: Any = None,
) -> dict[str, float]:
    """Sentences/s of `new_tokens` greedy tokens each after one cached schema; the second of two runs counts."""
    model = random_model(config, dtype, params)
    tree = random_tree(lengths, config.vocab_size)
    contexts = [tree.branches[i % len(tree.branches)].context for i in range(sentences)]
    asked = [context.tolist() for context in contexts]
    generator = Generator(model, slots)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        answers = generator.generate_ids(tree.prefix.tolist(), asked, new_tokens)
        seconds.append(time.perf_counter() - start)
    written = sum(len(answer.ids) for answer in answers)
    return {
        "sentences_per_second": sentences / seconds[1],
        "new_tokens_per_second": written / seconds[1],
        "seconds": seconds[1],
        "first_seconds": seconds[0],
        "peak_bytes": memory_peak(),
    }
