"""A checksum of each array, computed where its shards lie: the same for any sharding and any number of processes."""

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def checksums(tree: PyTree) -> dict[str, int]:
    """Leaf path -> the sum of its bits as 32-bit words, each times an odd number of its own, modulo 2**32.

    A word that changes always changes the sum; of other changes one in 2**32 does not.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    sums = jax.device_get(_sums([leaf for _, leaf in leaves]))
    return {jax.tree_util.keystr(path): int(sum_) for (path, _), sum_ in zip(leaves, sums, strict=True)}


@jax.jit
def _sums(leaves: list[jax.Array]) -> list[jax.Array]:
    return [_sum(_words(leaf)) for leaf in leaves]


def _words(x: jax.Array) -> jax.Array:
    """The bits of x as uint32; elements of eight bytes become two words along a new last axis."""
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32)
    size = min(x.dtype.itemsize, 4)
    return jax.lax.bitcast_convert_type(x, f"uint{8 * size}").astype(jnp.uint32)


def _sum(words: jax.Array) -> jax.Array:
    """No reshape: the shards stay where they are, and integers may be added in any order."""
    position, stride = jnp.zeros(words.shape, jnp.uint32), 1
    for axis in reversed(range(words.ndim)):
        position += jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis) * jnp.uint32(stride % 2**32)
        stride *= words.shape[axis]
    return jnp.sum(words * (2 * position + 1), dtype=jnp.uint32)
