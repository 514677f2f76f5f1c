"""From tensors in files to arrays on devices: a process reads the bytes its devices hold, and no others."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding, SingleDeviceSharding

from kcx_jax.checkpoints.names import Place
from kcx_jax.checkpoints.stored import StoredTensor
from kcx_jax.errors import KcxError


def place(
    abstract: Any, places: Mapping[str, Place], tensors: Mapping[str, StoredTensor], shardings: Any | None
) -> Any:
    """The tree of arrays with the shapes and dtypes of `abstract`, read from `tensors` by way of `places`.

    Without `shardings` (a tree as well) the arrays lie on the first local device. Raises `KcxError` naming a
    tensor that holds NaN or Inf.
    """
    parts: dict[tuple[str, ...], list[StoredTensor]] = defaultdict(list)
    for name, found in places.items():
        parts[found.path].append(tensors[name])  # in the order of the layers
    if shardings is None:
        device = jax.local_devices()[0]
        shardings = jax.tree.map(lambda _: SingleDeviceSharding(device), abstract)

    def leaf(path: tuple, value: jax.ShapeDtypeStruct, sharding: Sharding) -> jax.Array:
        stored = parts[tuple(key.key for key in path)]

        def read(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None
            if len(path) == 1:
                return _read(stored[0], index, value.dtype)
            return np.stack([_read(tensor, index[1:], value.dtype) for tensor in stored[index[0]]])

        return jax.make_array_from_callback(value.shape, sharding, read, dtype=value.dtype)

    return jax.tree_util.tree_map_with_path(leaf, abstract, shardings)


def _read(tensor: StoredTensor, index: tuple[slice, ...], dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):  # told below, with the tensor's name
        part = np.array(tensor.open()[index], dtype)  # a copy: no array may live on in a file's mapping
    if not np.isfinite(part).all():
        raise KcxError(f"{tensor.file}: tensor {tensor.name} holds NaN or Inf as {dtype}; it cannot be used.")
    return part
