"""Frozen kernels in 8 bits as a leaf type: whole numbers or fp8 values, with one scale for each output channel.

Every scale stands outside the matrix product, so both operands enter it in 8 bits as they are: on GPUs from Hopper on
XLA makes fp8 products of that. A token's result depends on that token alone, whatever shares its batch or device.

Shapes: ... = any leading axes (layers), N = tokens flattened, D = inputs, F = outputs.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import struct
from jax import lax

Quantisation = Literal["int8", "fp8"]
"""Whole numbers, symmetric; or e4m3, with activations in e4m3 and their gradients in e5m2."""

QUANTISED_DTYPES: dict[Quantisation, np.dtype] = {
    "int8": np.dtype(np.int8),
    "fp8": np.dtype(ml_dtypes.float8_e4m3fn),
}
_GRADIENT = np.dtype(ml_dtypes.float8_e5m2)
_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)  # of a channel of zeros


@struct.dataclass
class Quantised:
    """The kernel `values` * `scale`; never trained. `values` comes first: its shape is the kernel's."""

    values: Any  # [..., F, D] of QUANTISED_DTYPES
    scale: Any  # [..., F] float32


def quantise(kernel: Any, dtype: np.dtype) -> Quantised:
    """A kernel [..., F, D], of numpy or JAX, by the dtype's nearest values; a channel's largest becomes the dtype's."""
    xp = kernel.__array_namespace__()
    wide = kernel.astype(np.float32)
    scale = _scale(xp, wide, dtype)
    return Quantised(_nearest(xp, wide / scale, dtype), scale[..., 0])


def quantised_linear(x_ND: jax.Array, kernel_FD: Quantised) -> jax.Array:
    """`x @ kernel.T` in x's dtype, [N, D] -> [N, F]; the gradient reaches x alone."""
    return _linear(x_ND, kernel_FD.values, kernel_FD.scale)


@jax.custom_vjp
def _linear(x_ND: jax.Array, values_FD: jax.Array, scale_F: jax.Array) -> jax.Array:
    return (_product(x_ND, values_FD, 1, values_FD.dtype) * scale_F).astype(x_ND.dtype)


def _linear_forward(x_ND: jax.Array, values_FD: jax.Array, scale_F: jax.Array) -> tuple[jax.Array, Any]:
    return _linear(x_ND, values_FD, scale_F), (values_FD, scale_F)


def _linear_backward(kept: Any, dy_NF: jax.Array) -> tuple[jax.Array, None, None]:
    values_FD, scale_F = kept
    scaled_NF = (dy_NF * scale_F).astype(dy_NF.dtype)
    return _product(scaled_NF, values_FD, 0, _GRADIENT).astype(dy_NF.dtype), None, None


_linear.defvjp(_linear_forward, _linear_backward)


def _product(x: jax.Array, values: jax.Array, axis: int, narrow: np.dtype) -> jax.Array:
    """x [N, S] by `values` over their axis of S: x as it is beside int8, in `narrow` beside fp8."""
    dtype = x.dtype
    # Unscaled sums need the range of float32, which bfloat16 has and float16 has not.
    product_dtype = dtype if dtype == jnp.bfloat16 else jnp.promote_types(dtype, jnp.float32)
    scale_N1 = None
    if values.dtype != jnp.int8:
        wide = x.astype(jnp.promote_types(dtype, jnp.float32))
        scale_N1 = _scale(jnp, wide, narrow)
        x = _nearest(jnp, wide / scale_N1, narrow).astype(dtype)
    product = lax.dot_general(
        x, values.astype(dtype), (((1,), (axis,)), ((), ())), preferred_element_type=product_dtype
    )
    return product if scale_N1 is None else product * scale_N1


def _scale(xp: Any, wide: Any, dtype: np.dtype) -> Any:
    """What the last axis is divided by, [..., 1]."""
    most = xp.max(xp.abs(wide), axis=-1, keepdims=True)
    return xp.maximum(most / _largest(dtype), _SMALLEST_SCALE)


def _nearest(xp: Any, scaled: Any, dtype: np.dtype) -> Any:
    largest = _largest(dtype)
    if dtype == np.int8:
        scaled = xp.rint(scaled)
    return xp.clip(scaled, -largest, largest).astype(dtype)


def _largest(dtype: np.dtype) -> float:
    return 127.0 if dtype == np.int8 else float(ml_dtypes.finfo(dtype).max)
