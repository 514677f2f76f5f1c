"""A tensor that lies in a file, whatever the file's format: found, not yet read."""

from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

DTYPES = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}
"""The dtypes of weights by name."""


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
