"""Pure functions on arrays: attention, RoPE, RMSNorm, cross-entropy.

Lives here: mathematics without parameters of its own, and how it is compiled. Not here: modules with weights
(`models`).
"""

from kcx_jax.ops.layouts import KV, Cached, Causal, Tree
from kcx_jax.ops.losses import answer_loss
from kcx_jax.ops.numerics import head_logits, inverse_row_norms, linear, rms_norm
from kcx_jax.ops.parameters import Parameter

__all__ = [
    "KV",
    "Cached",
    "Causal",
    "Parameter",
    "Tree",
    "answer_loss",
    "head_logits",
    "inverse_row_norms",
    "linear",
    "rms_norm",
]
