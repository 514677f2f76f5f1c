"""Whether an export computes what it was made from: both answer the same tokens."""

import numpy as np

from kcx_jax.checkpoints.model import LoadedModel

_TOKENS = 32


def probe_logits(model: LoadedModel) -> np.ndarray:
    """The logits of 32 random tokens, [32, V] float32: the same tokens for every model of one vocabulary.

    An export that rounds otherwise (bfloat16, a normalised head) differs by that rounding. Only one of the two models
    need be in memory at a time.
    """
    width = min(_TOKENS, model.config.max_positions)
    ids = np.random.default_rng(0).integers(0, model.config.vocab_size, (1, width))
    return np.asarray(model.logits(ids), np.float32)[0]
