"""Whether an export computes what it was made from: both answer the same tokens."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from kcx_jax.checkpoints.load import load_pretrained
from kcx_jax.checkpoints.model import LoadedModel

_TOKENS = 32


def logit_difference(model: LoadedModel, out: str | Path, adapter_only: bool = False) -> float:
    """The largest difference between `model`'s logits and those of its export at `out`, loaded again and computed in
    the same dtype, over 32 random tokens. With `adapter_only`, `out` is an adapter and is put on the model's own base.

    A layout that rounds otherwise (bfloat16, a normalised head) differs by that rounding.
    """
    dtype = jnp.dtype(model.module.dtype).name
    base, adapter = (model.name, out) if adapter_only else (out, None)
    again = load_pretrained(base, adapter, dtype=dtype, mesh=model.mesh)
    width = min(_TOKENS, model.config.max_positions)
    ids = np.random.default_rng(0).integers(0, model.config.vocab_size, (1, width))
    return float(np.abs(np.asarray(model.logits(ids)) - np.asarray(again.logits(ids))).max())
