"""The small functions of a layer and of the head: linear map, RMSNorm, logits.

Shapes: ... any leading axes, N = tokens flattened, D = hidden size, F = outputs, V = vocabulary, X = some of
its tokens.
"""

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.ops.quantised import Quantised, quantised_linear

_SMALLEST_NORM = 1e-12


def statistics_dtype(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """The dtype of sums, softmaxes and norms: float32, or float64 where the computation is in float64."""
    return jnp.promote_types(dtype, jnp.float32)


def linear(x: jax.Array, kernel_FD: jax.Array | Quantised) -> jax.Array:
    """`x @ kernel.T` in x's dtype: [..., D] -> [..., F]; a frozen kernel may be in 8 bits.

    Kernels keep the [out, in] order of Hugging Face files, so loading is a plain copy; on CPUs both orders
    take the same time forward and backward. Tokens are flattened to one axis because weight gradients over
    two batch axes are more than twice as slow on CPUs.
    """
    x_ND = x.reshape(-1, x.shape[-1])
    if isinstance(kernel_FD, Quantised):
        y_NF = quantised_linear(x_ND, kernel_FD)
    else:
        y_NF = lax.dot_general(x_ND, kernel_FD.astype(x.dtype), (((1,), (1,)), ((), ())))
    return y_NF.reshape(*x.shape[:-1], -1)


def rms_norm(x: jax.Array, weight_D: jax.Array, eps: float) -> jax.Array:
    """RMSNorm over the last axis: float32 statistics, the product rounded to x's dtype, then times weight."""
    wide = x.astype(statistics_dtype(x.dtype))
    normed = wide * lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + eps)
    return normed.astype(x.dtype) * weight_D.astype(x.dtype)


def inverse_row_norms(head_VD: jax.Array) -> jax.Array:
    """1 / max(||row||, 1e-12) of each row of the head, [V] in float32 (differentiable)."""
    wide = head_VD.astype(statistics_dtype(head_VD.dtype))
    squares = jnp.sum(jnp.square(wide), axis=-1)
    # The floor is put on the square: the root's gradient at an all-zero row would be infinite.
    return lax.rsqrt(jnp.maximum(squares, _SMALLEST_NORM**2))


def head_logits(hidden: jax.Array, head_VD: jax.Array, inverse_norm_V: jax.Array | None) -> jax.Array:
    """h W^T in float32, [..., D] -> [..., V]; for Baichuan2's NormHead times the inverse norms of the raw rows."""
    wide = statistics_dtype(hidden.dtype)
    h_ND = hidden.reshape(-1, hidden.shape[-1])
    product_NV = lax.dot_general(
        h_ND, head_VD.astype(hidden.dtype), (((1,), (1,)), ((), ())), preferred_element_type=wide
    )
    if inverse_norm_V is not None:
        product_NV *= inverse_norm_V.astype(wide)
    return product_NV.reshape(*hidden.shape[:-1], head_VD.shape[0])


def head_logits_of(
    hidden: jax.Array, tokens: jax.Array, head_VD: jax.Array, inverse_norm_V: jax.Array | None
) -> jax.Array:
    """`head_logits` of some tokens only: [..., D] and ids [..., X] -> [..., X]. Reads their rows of the head alone."""
    wide = statistics_dtype(hidden.dtype)
    rows = head_VD[tokens].astype(hidden.dtype)
    product = jnp.einsum("...d,...xd->...x", hidden, rows, preferred_element_type=wide)
    return product if inverse_norm_V is None else product * inverse_norm_V[tokens].astype(wide)
