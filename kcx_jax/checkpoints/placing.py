"""From tensors in files to arrays on devices: a process reads the bytes its devices hold, and no others."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding, SingleDeviceSharding

from kcx_jax.checkpoints.names import Place
from kcx_jax.checkpoints.stored import Progress, StoredTensor, is_finite
from kcx_jax.errors import KcxError
from kcx_jax.ops.quantised import Quantised, quantise

_ALIGNMENT = 64  # bytes; XLA's CPU devices take such a buffer as it is, others are copied
_CHUNK = 2**21  # elements converted and checked at a time, while they are in the processor's cache
_READERS = 4

Span = tuple[range, ...]
Piece = tuple[Place, StoredTensor]


def place(
    abstract: Any,
    places: Mapping[str, Place],
    tensors: Mapping[str, StoredTensor],
    shardings: Any | None,
    progress: Progress | None = None,
) -> Any:
    """The tree of arrays with the shapes and dtypes of `abstract`, read from `tensors` by way of `places`.

    Without `shardings` (a tree as well) the arrays lie on the first local device. Beside the arrays themselves the
    host holds one leaf's part of one device; of a `Quantised` leaf all parts, and one layer in float32. Raises
    `KcxError` naming a tensor that holds NaN or Inf.
    """
    pieces: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
    for name, found in places.items():
        pieces[found.path].append((found, tensors[name]))
    if shardings is None:
        device = jax.local_devices()[0]
        shardings = jax.tree.map(lambda _: SingleDeviceSharding(device), abstract)
    done, total = 0, sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract))
    with ThreadPoolExecutor(_READERS) as readers:

        def leaf(path: tuple, value: Any, sharding: Any) -> Any:
            nonlocal done
            make = _quantised_leaf if isinstance(value, Quantised) else _leaf
            made = make(value, sharding, pieces[tuple(key.key for key in path)], readers)
            done += sum(array.nbytes for array in jax.tree.leaves(made))
            if progress is not None:
                progress(done, total)
            return made

        return jax.tree_util.tree_map_with_path(
            leaf, abstract, shardings, is_leaf=lambda value: isinstance(value, Quantised)
        )


def _leaf(
    value: jax.ShapeDtypeStruct, sharding: Sharding, pieces: list[Piece], readers: ThreadPoolExecutor
) -> jax.Array:
    """One array; a part that several devices hold is read once."""
    holders = _holders(value, sharding)
    return _assembled(value, sharding, holders, lambda span: _read(span, value.dtype, pieces, readers))


def _quantised_leaf(
    value: Quantised, sharding: Quantised, pieces: list[Piece], readers: ThreadPoolExecutor
) -> Quantised:
    """One kernel of all layers; a row is read whole, for its scale, whatever part of it a device holds."""
    columns = range(value.values.shape[-1])
    by_rows, by_part = _holders(value.scale, sharding.scale), _holders(value.values, sharding.values)
    scales = {rows: _aligned(list(map(len, rows)), value.scale.dtype) for rows in by_rows}
    parts = {span: _aligned(list(map(len, span)), value.values.dtype) for span in by_part}
    for rows, scale in scales.items():
        for number, layer in enumerate(rows[0]):
            wide = _read((range(layer, layer + 1), *rows[1:], columns), np.dtype(np.float32), pieces, readers)
            narrow = quantise(wide[0], value.values.dtype)
            scale[number] = narrow.scale
            for span, part in parts.items():
                if span[:-1] == rows:
                    part[number] = narrow.values[:, span[-1].start : span[-1].stop]
    return Quantised(
        _assembled(value.values, sharding.values, by_part, parts.__getitem__),
        _assembled(value.scale, sharding.scale, by_rows, scales.__getitem__),
    )


def _holders(value: jax.ShapeDtypeStruct, sharding: Sharding) -> dict[Span, list[jax.Device]]:
    """The parts of an array that devices of this process hold, each with those that do."""
    holders: dict[Span, list[jax.Device]] = defaultdict(list)
    for device, index in sharding.addressable_devices_indices_map(value.shape).items():
        assert index is not None
        span = tuple(range(*own.indices(size)) for own, size in zip(index, value.shape, strict=True))
        holders[span].append(device)
    return holders


def _assembled(
    value: jax.ShapeDtypeStruct,
    sharding: Sharding,
    holders: Mapping[Span, list[jax.Device]],
    part_of: Callable[[Span], np.ndarray],
) -> jax.Array:
    """The array made of its parts, which are asked for one after another."""
    arrays: list[jax.Array] = []
    for span, devices in holders.items():
        part = part_of(span)
        arrays += [jax.device_put(part, device) for device in devices]
    return jax.make_array_from_single_device_arrays(value.shape, sharding, arrays)


def _read(span: Span, dtype: np.dtype, pieces: list[Piece], readers: ThreadPoolExecutor) -> np.ndarray:
    """The part `span` of a leaf, made up of what it has of each piece."""
    part = _aligned([len(own) for own in span], dtype)
    jobs = [readers.submit(_fill, part, span, where, tensor) for where, tensor in pieces]
    for job in jobs:
        job.result()
    return part


def _aligned(shape: list[int], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array that starts at a multiple of `_ALIGNMENT`."""
    size = prod(shape) * dtype.itemsize
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


def _fill(part: np.ndarray, span: Span, where: Place, tensor: StoredTensor) -> None:
    """Copy what `part`, the part `span` of a leaf, has of one tensor: nothing lives on in a file's mapping."""
    target = part
    if where.layer is not None:
        if where.layer not in span[0]:
            return
        target, span = part[where.layer - span[0].start], span[1:]
    first = where.rows.start if where.rows else 0
    start, stop = max(span[0].start, first), min(span[0].stop, first + where.shape[0])
    if start >= stop:
        return
    target = target[start - span[0].start : stop - span[0].start]
    # Whole rows come in large blocks, without a page fault for every 4 KB of a mapping.
    view = None
    if tensor.strides is not None or tensor.shape[1:] != target.shape[1:]:
        others = tuple(slice(own.start, own.stop) for own in span[1:])
        view = tensor.open()[(slice(start - first, stop - first), *others)]
    rows = max(1, _CHUNK // prod(target.shape[1:]))
    for row in range(0, len(target), rows):
        some = target[row : row + rows]
        with np.errstate(over="ignore"):  # told below, with the tensor's name
            if view is None:
                tensor.read_rows(start - first + row, some)
            else:
                some[...] = view[row : row + rows]
        if not is_finite(some):
            name, kind = tensor.name, part.dtype
            raise KcxError(f"{tensor.file}: tensor {name} holds NaN or Inf as {kind}; it cannot be used.")
