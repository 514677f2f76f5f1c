"""A tensor that lies in a file, whatever the file's format: found, not yet read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import ml_dtypes
import numpy as np

from kcx_jax.errors import KcxError

DTYPES = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}
"""The dtypes of weights by name."""

Progress = Callable[[int, int], None]
"""Called now and then with the bytes done and the bytes there are to do."""

_EXPONENT = {"float32": 0x7F800000, "bfloat16": 0x7F80, "float16": 0x7C00}


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor's elements lie: little endian, the first at byte `offset` of `file`.

    `strides` counts the elements from one index of each axis to the next; None means row-major. Whoever makes
    one has checked that it lies inside the file.
    """

    name: str
    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...] | None = None

    def open(self) -> np.ndarray:
        """The tensor as a read-only view of the file: slicing it reads those bytes and no others."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        if self.strides is None:
            return np.memmap(self.file, self.dtype, "r", self.offset, self.shape)
        last = sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        span = np.memmap(self.file, np.uint8, "r", self.offset, ((last + 1) * self.dtype.itemsize,))
        steps = [stride * self.dtype.itemsize for stride in self.strides]
        return np.ndarray(self.shape, self.dtype, span, strides=steps)

    def read_rows(self, first: int, out: np.ndarray) -> None:
        """Read rows from `first` on into `out`, in its dtype; for tensors without `strides`.

        Raises `KcxError` where the file has become shorter.
        """
        rows = out if out.dtype == self.dtype and out.flags.c_contiguous else np.empty(out.shape, self.dtype)
        left = rows.reshape(-1).view(np.uint8).data
        position = self.offset + first * prod(self.shape[1:]) * self.dtype.itemsize
        with self.file.open("rb", buffering=0) as handle:
            while left:
                count = os.preadv(handle.fileno(), [left], position)
                if count == 0:
                    raise KcxError(f"{self.file} has become shorter while it was read: load it again.")
                left, position = left[count:], position + count
        if rows is not out:
            out[...] = rows


def is_finite(values: np.ndarray) -> bool:
    """Whether no value of a dtype of `DTYPES` has an exponent of all ones: many times faster than `np.isfinite` of
    bfloat16. Takes as much memory again: large tensors go through it in parts.
    """
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    exponent = unsigned.type(_EXPONENT[values.dtype.name])
    return bool((values.view(unsigned) & exponent).max(initial=0) != exponent)
