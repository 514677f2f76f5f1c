"""Pure functions on arrays: attention, RoPE, RMSNorm, cross-entropy, products with kernels in 8 bits.

Lives here: mathematics without parameters of its own, and how it is compiled. Not here: modules with weights
(`models`).
"""

from kcx_jax.ops.layouts import KV, Cached, Causal, Tree
from kcx_jax.ops.losses import answer_loss
from kcx_jax.ops.numerics import head_logits, inverse_row_norms, linear, rms_norm
from kcx_jax.ops.parameters import Parameter
from kcx_jax.ops.quantised import Quantisation, Quantised, quantise

__all__ = [
    "KV",
    "Cached",
    "Causal",
    "Parameter",
    "Quantisation",
    "Quantised",
    "Tree",
    "answer_loss",
    "head_logits",
    "inverse_row_norms",
    "linear",
    "quantise",
    "rms_norm",
]
