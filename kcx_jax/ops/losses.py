"""The loss of answers: cross-entropy of the target tokens only, gathered before the head.

Shapes: R = rows, T = tokens of a row, D = hidden size, M = targets of a row, N = targets of all rows,
V = vocabulary.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from kcx_jax.ops.numerics import head_logits, statistics_dtype


def answer_loss(
    hidden_RTD: jax.Array,
    head_VD: jax.Array,
    inverse_norm_V: jax.Array | None,
    target_position_RM: jax.Array,
    target_label_RM: jax.Array,
    target_mask_RM: jax.Array,
    *,
    frozen_head: bool = True,
    z_loss_weight: float = 0.0,
    chunk_size: int = 1024,
    batch_axes: tuple[str, ...] = ("data", "fsdp"),
) -> tuple[jax.Array, jax.Array]:
    """The summed loss of the real targets, and their count: float32 scalars, over all rows of all devices.

    A target's loss is -log p(label | hidden at position) + z_loss_weight * (highest logit)^2; targets are
    real where `target_mask_RM` is true. A position may have several (an empty context gives each branch one
    at the prefix's end).

    No array of targets times vocabulary is kept. frozen_head: the input's gradient is computed while a chunk's logits
    are live, and the head gets none. Otherwise gradients reach `head_VD`, and its norms through `inverse_norm_V`; the
    backward pass computes each chunk's logits again.

    Under `jax.set_mesh` rows stay on the device that holds them (`shard_map` over `batch_axes`), and R must
    be a multiple of their size: left to itself, XLA would let every device compute every target.
    """

    def local(*arrays: Any) -> tuple[jax.Array, jax.Array]:
        return _local_loss(
            *arrays, frozen_head=frozen_head, z_loss_weight=z_loss_weight, chunk_size=chunk_size
        )

    arrays = (hidden_RTD, head_VD, inverse_norm_V, target_position_RM, target_label_RM, target_mask_RM)
    if jax.sharding.get_abstract_mesh().empty:
        return local(*arrays)
    rows, whole = PartitionSpec(batch_axes), PartitionSpec()
    sharded = jax.shard_map(
        lambda *arrays: lax.psum(local(*arrays), batch_axes),
        in_specs=(rows, whole, whole, rows, rows, rows),
        out_specs=whole,
        axis_names=set(batch_axes),
    )
    return sharded(*arrays)


def _local_loss(
    hidden_RTD: jax.Array,
    head_VD: jax.Array,
    inverse_norm_V: jax.Array | None,
    position_RM: jax.Array,
    label_RM: jax.Array,
    mask_RM: jax.Array,
    *,
    frozen_head: bool,
    z_loss_weight: float,
    chunk_size: int,
) -> tuple[jax.Array, jax.Array]:
    hidden_ND = jnp.take_along_axis(hidden_RTD, position_RM[:, :, None], axis=1).reshape(
        -1, hidden_RTD.shape[-1]
    )
    weight_N = mask_RM.reshape(-1).astype(statistics_dtype(hidden_ND.dtype))
    count = jnp.sum(weight_N)
    chunked = _frozen_loss if frozen_head else _recomputed_loss
    label_N = label_RM.reshape(-1)
    return chunked(hidden_ND, head_VD, inverse_norm_V, label_N, weight_N, z_loss_weight, chunk_size), count


def _loss(
    hidden_ND: jax.Array,
    head_VD: jax.Array,
    inverse_norm_V: jax.Array | None,
    label_N: jax.Array,
    weight_N: jax.Array,
    z_loss_weight: float,
) -> jax.Array:
    logits_NV = head_logits(hidden_ND, head_VD, inverse_norm_V)
    # A comparison fuses with the sum; a gather's gradient would be a scatter into an array of logits.
    is_label_NV = jnp.arange(logits_NV.shape[-1]) == label_N[:, None]
    label_logit_N = jnp.sum(jnp.where(is_label_NV, logits_NV, 0), axis=-1)
    loss_N = jax.nn.logsumexp(logits_NV, axis=-1) - label_logit_N
    if z_loss_weight:
        loss_N += z_loss_weight * jnp.square(jnp.max(logits_NV, axis=-1))
    return jnp.sum(loss_N * weight_N)


def _recomputed_loss(
    hidden_ND: jax.Array,
    head_VD: jax.Array,
    inverse_norm_V: jax.Array | None,
    label_N: jax.Array,
    weight_N: jax.Array,
    z_loss_weight: float,
    chunk_size: int,
) -> jax.Array:
    @jax.checkpoint
    def loss(chunk: tuple[jax.Array, ...]) -> jax.Array:
        hidden, label, weight = chunk
        return _loss(hidden, head_VD, inverse_norm_V, label, weight, z_loss_weight)

    return jnp.sum(lax.map(loss, _chunked(chunk_size, hidden_ND, label_N, weight_N)))


@partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def _frozen_loss(
    hidden_ND: jax.Array,
    head_VD: jax.Array,
    inverse_norm_V: jax.Array | None,
    label_N: jax.Array,
    weight_N: jax.Array,
    z_loss_weight: float,
    chunk_size: int,
) -> jax.Array:
    chunks = _chunked(chunk_size, hidden_ND, label_N, weight_N)
    losses = lax.map(lambda c: _loss(c[0], head_VD, inverse_norm_V, c[1], c[2], z_loss_weight), chunks)
    return jnp.sum(losses)


def _frozen_loss_forward(
    hidden_ND: jax.Array,
    head_VD: jax.Array,
    inverse_norm_V: jax.Array | None,
    label_N: jax.Array,
    weight_N: jax.Array,
    z_loss_weight: float,
    chunk_size: int,
) -> tuple[jax.Array, jax.Array]:
    def loss_and_gradient(chunk: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        hidden, label, weight = chunk
        return jax.value_and_grad(_loss)(hidden, head_VD, inverse_norm_V, label, weight, z_loss_weight)

    losses, gradients = lax.map(loss_and_gradient, _chunked(chunk_size, hidden_ND, label_N, weight_N))
    count = hidden_ND.shape[0]
    return jnp.sum(losses), gradients.reshape(-1, hidden_ND.shape[-1])[:count]


def _frozen_loss_backward(
    z_loss_weight: float, chunk_size: int, gradient_ND: jax.Array, cotangent: jax.Array
) -> tuple[Any, ...]:
    return (gradient_ND * cotangent).astype(gradient_ND.dtype), None, None, None, None


_frozen_loss.defvjp(_frozen_loss_forward, _frozen_loss_backward)


def _chunked(chunk_size: int, *arrays: jax.Array) -> tuple[jax.Array, ...]:
    """[N, ...] -> [chunks, size, ...]; the last chunk is padded with zeros, which weigh nothing."""
    count = arrays[0].shape[0]
    size = min(chunk_size, count)
    padding = -count % size
    return tuple(
        jnp.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1)).reshape(-1, size, *x.shape[1:]) for x in arrays
    )
