"""The steps of a plan as arrays: one is made when it is asked for.

S steps of Q rows each, which are rows of R.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from kcx_jax.data.rows import Row, Rows
from kcx_jax.data.shapes import Shape

COUNTS = ("samples", "targets", "tokens", "unshared_tokens")


class Step(NamedTuple):
    """The rows of one step over all processes; contiguous slices have nearly equal target counts."""

    shape: Shape
    rows: tuple[Row, ...]
    samples: int
    targets: int
    tokens: int  # real ones: prefixes once a row, and what the branches read
    unshared_tokens: int  # the same if every sample came with its own copy of the prefix


@dataclass(frozen=True, eq=False)
class Steps(Sequence[Step]):
    """Steps of `rows`. Each has the shape of number `shapes_S` of `shapes` and the rows of numbers `rows_SQ`; one that
    `counted_SQ` does not count only fills it up.
    """

    rows: Rows
    shapes: tuple[Shape, ...]
    shapes_S: np.ndarray
    rows_SQ: np.ndarray
    counted_SQ: np.ndarray
    counts_S4: np.ndarray  # COUNTS

    @classmethod
    def joined(cls, parts: Sequence["Steps"]) -> "Steps":
        """The steps of several parts, which have the same shapes."""
        before = np.cumsum([0, *(len(part.rows) for part in parts)])
        return cls(
            Rows.joined(part.rows for part in parts),
            parts[0].shapes,
            np.concatenate([part.shapes_S for part in parts]),
            np.concatenate([part.rows_SQ + start for part, start in zip(parts, before, strict=False)]),
            np.concatenate([part.counted_SQ for part in parts]),
            np.concatenate([part.counts_S4 for part in parts]),
        )

    @classmethod
    def balanced(
        cls,
        rows: Rows,
        shapes: tuple[Shape, ...],
        shapes_S: np.ndarray,
        rows_SQ: np.ndarray,
        counted_SQ: np.ndarray,
        needs_R5: np.ndarray,
    ) -> "Steps":
        """Steps whose rows are put in order, the one with most targets beside the one with fewest and so on, so that
        shards get nearly equal counts; `needs_R5` are the shapes that `rows` need.
        """
        number = rows_SQ.shape[1]
        targets_SQ = needs_R5[rows_SQ, 4] * counted_SQ
        most_first_SQ = np.argsort(-targets_SQ, axis=1, kind="stable")
        paired = [i // 2 if i % 2 == 0 else number - 1 - i // 2 for i in range(number)]
        order_SQ = most_first_SQ[:, paired]
        rows_SQ = np.take_along_axis(rows_SQ, order_SQ, axis=1)
        counted_SQ = np.take_along_axis(counted_SQ, order_SQ, axis=1)
        prefix, branches, _, stream, targets = np.moveaxis(needs_R5[rows_SQ] * counted_SQ[..., None], 2, 0)
        counts = branches, targets, stream, stream + (branches - 1) * prefix
        counts_S4 = np.stack([count.sum(axis=1) for count in counts], axis=1)
        return cls(rows, shapes, shapes_S, rows_SQ, counted_SQ, counts_S4)

    def at(self, index: Any) -> "Steps":
        """The steps of a slice, or of an array of numbers."""
        return replace(
            self,
            shapes_S=self.shapes_S[index],
            rows_SQ=self.rows_SQ[index],
            counted_SQ=self.counted_SQ[index],
            counts_S4=self.counts_S4[index],
        )

    def __len__(self) -> int:
        return len(self.shapes_S)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.at(index)
        rows = zip(self.rows_SQ[index].tolist(), self.counted_SQ[index].tolist(), strict=True)
        return Step(
            self.shapes[self.shapes_S[index]],
            tuple(self.rows.row(row, counted) for row, counted in rows),
            *self.counts_S4[index].tolist(),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Steps) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
