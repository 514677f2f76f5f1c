"""One description of a parameter, from which its abstract value, initial value and sharding all come."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

Nested = Any  # dicts of dicts


@dataclass(frozen=True)
class Parameter:
    """Shape, logical axis names (None = never sharded) and initialiser `init(key, shape, dtype)`; `dtype` where it is
    not that of the others.
    """

    shape: tuple[int, ...]
    axes: tuple[str | None, ...]
    init: Callable[[jax.Array, Sequence[int], Any], jax.Array]
    dtype: jax.typing.DTypeLike | None = None

    def stacked(self, count: int) -> "Parameter":
        """The same parameter of `count` layers, stacked on a new first axis."""
        return replace(self, shape=(count, *self.shape), axes=("layers", *self.axes))


def abstract(parameters: Nested, dtype: jax.typing.DTypeLike) -> Nested:
    """The tree of `jax.ShapeDtypeStruct`."""
    return jax.tree.map(
        lambda p: jax.ShapeDtypeStruct(p.shape, dtype if p.dtype is None else p.dtype), parameters
    )


def initialise(parameters: Nested, key: jax.Array, dtype: jax.typing.DTypeLike) -> Nested:
    """The tree of initial values; a leaf's values depend on `key` and on its own path only."""

    def leaf(path: tuple, parameter: Parameter) -> jax.Array:
        own_key = jax.random.fold_in(key, zlib.crc32(jax.tree_util.keystr(path).encode()))
        return parameter.init(own_key, parameter.shape, dtype)

    return jax.tree_util.tree_map_with_path(leaf, parameters)


def normal(deviation: float) -> Callable[..., jax.Array]:
    """Normal distribution around zero."""
    return jax.nn.initializers.normal(deviation)


def uniform(bound: float) -> Callable[..., jax.Array]:
    """Uniform distribution on [-bound, bound]."""

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


ones = jax.nn.initializers.ones
zeros = jax.nn.initializers.zeros
