"""The safetensors format, read and written tensor by tensor.

A file is 8 bytes of header length (little endian), a JSON header {name: {dtype, shape, data_offsets}}, and
the tensors' bytes one after another (https://github.com/huggingface/safetensors). Own code, because every
fault must name file and tensor, only the wanted bytes of a tensor may be read, and a file must be written
without being held.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from kcx_jax.checkpoints.stored import DTYPES, StoredTensor, is_finite
from kcx_jax.errors import KcxError

_CODES = {"F32": DTYPES["float32"], "BF16": DTYPES["bfloat16"], "F16": DTYPES["float16"]}
_CODE_OF = {dtype: code for code, dtype in _CODES.items()}
_CHUNK = 2**21  # elements checked, written and summed while they are in the processor's cache
_LARGEST_HEADER = 100_000_000  # the limit of the reference implementation


@dataclass(frozen=True)
class TensorSource:
    """One tensor to be written: its shape and dtype, and a function that makes it when its turn comes."""

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], Any]

    @property
    def nbytes(self) -> int:
        """Bytes it takes in a file."""
        return prod(self.shape) * self.dtype.itemsize

    def array(self) -> np.ndarray:
        """The tensor, contiguous on the host."""
        with np.errstate(over="ignore"):  # who writes it tells, with the tensor's name
            return np.ascontiguousarray(self.make(), dtype=self.dtype).reshape(self.shape)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a file by name. Raises `KcxError` naming file and tensor for anything the format
    forbids.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if size < 8 or length > min(size - 8, _LARGEST_HEADER):
                raise _damaged(path, f"a header of {length:,} bytes in a file of {size:,}")
            header = _parse(path, handle.read(length))
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}.") from error
    header.pop("__metadata__", None)
    tensors = {name: _entry(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_spans(path, size, 8 + length, tensors)
    return tensors


def write_tensors(path: Path, tensors: Mapping[str, TensorSource]) -> dict[str, int]:
    """Write a file, making one tensor after another, and return the checksum of each.

    Raises `KcxError` when a tensor holds NaN or Inf or the disk does not take it.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers refuses files without it
    position = 0
    for name, source in tensors.items():
        span = [position, position := position + source.nbytes]
        header[name] = {"dtype": _CODE_OF[source.dtype], "shape": list(source.shape), "data_offsets": span}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data is aligned
    try:
        with path.open("xb") as handle:
            handle.write(len(text).to_bytes(8, "little") + text)
            checksums = {}
            for name, source in tensors.items():
                array = source.array().reshape(-1)
                checksums[name] = 0
                for start in range(0, array.size, _CHUNK):
                    some = array[start : start + _CHUNK]
                    if not is_finite(some):
                        raise KcxError(
                            f"cannot write {path}: tensor {name} holds NaN or Inf as {array.dtype}."
                        )
                    handle.write(some.view(np.uint8).data)
                    checksums[name] = checksum(some, checksums[name])
            handle.flush()
            os.fsync(handle.fileno())
            return checksums
    except OSError as error:
        raise KcxError(f"cannot write {path}: {error.strerror or error}.") from error


def checksum(array: np.ndarray, before: int = 0) -> int:
    """CRC-32 of a tensor's bytes, going on from that of those `before` them."""
    return zlib.crc32(array.reshape(-1).view(np.uint8).data, before)


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    def refuse_twice(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise _damaged(path, f"the key {key} twice in its header")
            found[key] = value
        return found

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=refuse_twice)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"a header that is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _damaged(path, "a header that is not a JSON object")
    return header


def _entry(path: Path, name: str, entry: Any, start: int) -> StoredTensor:
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, span = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not _is_sizes(shape) or not _is_sizes(span) or len(span) != 2:
        raise _damaged(path, f"an entry for {name} without a proper shape and data_offsets")
    if not isinstance(dtype, str) or dtype not in _CODES:
        raise KcxError(f"{path}: tensor {name} has dtype {dtype}; weights are read in {', '.join(_CODES)}.")
    expected = prod(shape) * _CODES[dtype].itemsize
    if span[1] - span[0] != expected:
        found = f"{span[1] - span[0]:,} bytes for {name}, whose {dtype} {shape} needs {expected:,}"
        raise _damaged(path, found)
    return StoredTensor(name, path, _CODES[dtype], tuple(shape), start + span[0])


def _is_sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _check_spans(path: Path, size: int, start: int, tensors: Mapping[str, StoredTensor]) -> None:
    """The tensors must cover the file from the header to its end, without gap or overlap."""
    position = start
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.offset, prod(tensor.shape))):
        if tensor.offset != position:
            raise _damaged(path, f"{tensor.name} at byte {tensor.offset:,}, where {position:,} is expected")
        position += prod(tensor.shape) * tensor.dtype.itemsize
    if position != size:
        raise _damaged(path, f"{size:,} bytes, where its header tells of {position:,}")


def _damaged(path: Path, found: str) -> KcxError:
    return KcxError(f"{path} is not a whole safetensors file: found {found}. Copy or download it again.")
