"""The static shapes of a run's rows: few of them, so that few programs are compiled, and little padding."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Attention scores that cost as much as one token in the linear layers: 6 x hidden size by their FLOPs, half of
# that as attention's kernels are slower, for a hidden size of 4096. It only weighs paddings against each other.
_SCORES_PER_TOKEN = 12288
_PAIRWISE = 1200  # shapes that are joined pair by pair, within seconds


class Shape(NamedTuple):
    """The static shape of one step's rows, in tokens (P, L, T), branches (K) and targets (M) a row."""

    prefix: int  # P
    branches: int  # K
    branch: int  # L, the longest branch
    stream: int  # T, prefix and branches one after another
    targets: int  # M

    def cost(self) -> float:
        """Cost of a row of this shape, in tokens of the linear layers."""
        scores = self.prefix**2 + self.branches * self.branch * (self.prefix + self.branch)
        return self.stream + scores / _SCORES_PER_TOKEN

    def holds(self, other: "Shape") -> bool:
        return all(a >= b for a, b in zip(self, other, strict=True))


def round_up(shape: Shape, steps: int) -> Shape:
    """Each size up to the next of `steps` values an octave (multiples of 8, except branches)."""
    return Shape(*_rounded(np.array(shape), steps).tolist())


def choose_shapes(needs: Sequence[Shape] | np.ndarray, limit: int, rows_per_step: int) -> list[Shape]:
    """At most `limit` shapes that hold all rows: the pair whose joining costs least is joined until few are left.

    Rows are counted in whole steps, so that shapes of few rows join others rather than be filled up.
    """
    octave = 64
    needs = np.asarray(needs)
    sides, counts = np.unique(_rounded(needs, octave), axis=0, return_counts=True)
    while len(sides) > _PAIRWISE and octave > 1:  # joining takes memory with the square of their number
        octave //= 2
        sides, counts = np.unique(_rounded(needs, octave), axis=0, return_counts=True)
    number = counts.astype(float)  # zero once joined to another

    def total(sides: np.ndarray, number: np.ndarray) -> np.ndarray:
        return _cost(sides) * np.ceil(number / rows_per_step) * rows_per_step

    def added(index: slice) -> np.ndarray:
        """What joining these shapes with every other would add, in tokens of all their rows."""
        joined = np.maximum(sides[index][:, None], sides)
        apart = total(sides[index], number[index])[:, None] + total(sides, number)
        return np.where(number > 0, total(joined, number[index][:, None] + number) - apart, np.inf)

    costs = added(slice(None))
    np.fill_diagonal(costs, np.inf)
    for _ in range(len(sides) - limit):
        a, b = divmod(int(np.argmin(costs)), len(sides))
        sides[a] = np.maximum(sides[a], sides[b])
        number[a], number[b] = number[a] + number[b], 0
        costs[b] = costs[:, b] = np.inf
        costs[a] = added(slice(a, a + 1))[0]
        costs[a, a] = np.inf
        costs[:, a] = costs[a]
    return sorted({Shape(*side) for side, rows in zip(sides.tolist(), number, strict=True) if rows})


def widen(shapes: Sequence[Shape], needs: np.ndarray) -> list[Shape]:
    """The shapes, the one for which it costs least made larger for each need [., 5] that none of them holds."""
    held = np.zeros(len(needs), bool)
    for shape in shapes:
        held |= (needs <= np.array(shape)).all(axis=1)
    widened = list(shapes)
    for need in needs[~held].tolist():
        if not any(shape.holds(Shape(*need)) for shape in widened):
            larger = [round_up(Shape(*map(max, shape, need)), 64) for shape in widened]
            cheapest = min(range(len(widened)), key=lambda i: larger[i].cost() - widened[i].cost())
            widened[cheapest] = larger[cheapest]
    return sorted(set(widened))


def _rounded(sides: np.ndarray, steps: int) -> np.ndarray:
    """`round_up` of an array of shapes [..., 5]."""
    least = np.array([1 if name == "branches" else 8 for name in Shape._fields])
    octaves = np.maximum(0, np.frexp(sides)[1] - 1)  # of an integer, one less than its bits
    quanta = np.maximum(least, np.left_shift(1, octaves, dtype=np.int64) // steps)
    return np.maximum(least, -(-sides // quanta) * quanta)


def _cost(shapes: np.ndarray) -> np.ndarray:
    """`Shape.cost` of an array of shapes [..., 5]."""
    prefix, branches, branch, stream = (shapes[..., i].astype(float) for i in range(4))
    return stream + (prefix**2 + branches * branch * (prefix + branch)) / _SCORES_PER_TOKEN
