"""The row plan: which samples form which trees, rows and steps, and with which shapes.

A pure function of (trees, options, epoch), made before sharding: every process makes the same plan and packs
its own slice of each step's rows, so order and shapes never depend on the number of processes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.errors import KcxError

# Attention scores that cost as much as one token in the linear layers (hidden size 500 or so). It only weighs
# paddings against each other, so its exact value does not matter.
_SCORES_PER_TOKEN = 2048
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


class Row(NamedTuple):
    """One packed tree: `branches` of `trees[tree]`. A row with `counted` false only fills up a step."""

    tree: int
    branches: tuple[int, ...]
    counted: bool = True


class Step(NamedTuple):
    """The rows of one step over all processes; contiguous slices have nearly equal target counts."""

    shape: Shape
    rows: tuple[Row, ...]
    samples: int
    targets: int
    tokens: int  # real ones: prefixes once a row, and what the branches read
    unshared_tokens: int  # the same if every sample came with its own copy of the prefix


@dataclass(frozen=True)
class PlanOptions:
    """What the plan depends on beside the data: rows a step over all devices, branches a row, shapes
    compiled.
    """

    rows: int = 4
    branches: int = 16
    shapes: int = 4
    seed: int = 0


@dataclass(frozen=True)
class RowPlan:
    """Every step of a run, and what it costs."""

    steps: tuple[Step, ...]
    epoch_ends: tuple[int, ...]  # number of steps done at the end of each whole epoch

    def total(self, count: str) -> int:
        """Sum over the steps of "samples", "targets", "tokens" or "unshared_tokens"."""
        return sum(getattr(step, count) for step in self.steps)

    @property
    def padded_tokens(self) -> int:
        """Tokens computed in the linear layers, padding included."""
        return sum(step.shape.stream * len(step.rows) for step in self.steps)

    @property
    def saving(self) -> float:
        """Share of all tokens that sharing the prefix saves."""
        return 1 - self.total("tokens") / max(1, self.total("unshared_tokens"))

    @property
    def padding(self) -> float:
        """Share of the tokens computed in the linear layers that is padding."""
        return 1 - self.total("tokens") / max(1, self.padded_tokens)

    @property
    def grid_padding(self) -> float:
        """Share of attention's slots (prefix, and branches times the longest one) that is padding."""
        slots = sum((s.shape.prefix + s.shape.branches * s.shape.branch) * len(s.rows) for s in self.steps)
        return 1 - self.total("tokens") / max(1, slots)


def make_plan(
    trees: Sequence[TokenTree], options: PlanOptions, epochs: int | None = None, steps: int | None = None
) -> RowPlan:
    """The plan of a run of whole `epochs` or of exactly `steps` steps (epochs are then repeated as needed).

    Each epoch shuffles the branches of every tree into rows of at most `options.branches`, and the rows into
    steps. Raises `KcxError` where there is nothing to train on.
    """
    if (epochs is None) == (steps is None):
        raise ValueError("give epochs or steps")
    if not any(tree.branches for tree in trees):
        raise KcxError("no samples to train on: every tree is empty. Check the data and its limits.")
    sizes = [_Sizes.of(tree) for tree in trees]
    shapes: list[Shape] = []
    planned: list[Step] = []
    ends: list[int] = []
    while len(ends) < epochs if epochs is not None else len(planned) < (steps or 0):
        rng = np.random.default_rng([options.seed, len(ends)])
        rows = [
            row
            for index, tree in enumerate(trees)
            if tree.branches
            for row in _cut_rows(index, sizes[index], options.branches, rng)
        ]
        needs = [_needed_shape(row, sizes[row.tree]) for row in rows]
        if not shapes:
            shapes = _choose_shapes(needs, options.shapes)
        planned += _group_steps(rows, needs, shapes, options.rows, sizes, rng)
        ends.append(len(planned))
    if steps is not None:
        planned, ends = planned[:steps], [end for end in ends if end <= steps]
    return RowPlan(tuple(planned), tuple(ends))


class _Sizes(NamedTuple):
    """Lengths of a tree: prefix tokens, and per branch the tokens read and the targets."""

    prefix: int
    inputs: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, tree: TokenTree) -> "_Sizes":
        inputs = np.array([b.inputs for b in tree.branches], dtype=np.int64)
        return cls(len(tree.prefix), inputs, np.array([len(b.answer) for b in tree.branches], dtype=np.int64))


def _cut_rows(tree: int, sizes: _Sizes, branches: int, rng: np.random.Generator) -> Iterable[Row]:
    """The branches of one tree, shuffled and cut into rows of nearly equal numbers of branches.

    Not sorted by length: rows of random branches have nearly the same number of tokens, so few shapes hold
    them all. Sorted rows pad attention's grid less and the stream more; with four shapes that costs more.
    """
    order = rng.permutation(len(sizes.inputs))
    for part in np.array_split(order, -(-len(order) // branches)):
        yield Row(tree, tuple(int(i) for i in part))


def _needed_shape(row: Row, sizes: _Sizes) -> Shape:
    picked = list(row.branches)
    return Shape(
        prefix=sizes.prefix,
        branches=len(picked),
        branch=int(sizes.inputs[picked].max()),
        stream=sizes.prefix + int(sizes.inputs[picked].sum()),
        targets=int(sizes.targets[picked].sum()),
    )


def _round_up(shape: Shape, steps: int) -> Shape:
    """Each size up to the next of `steps` values an octave (multiples of 8, except branches)."""

    def up(size: int, least: int) -> int:
        quantum = max(least, (1 << max(0, size.bit_length() - 1)) // steps)
        return max(least, -(-size // quantum) * quantum)

    return Shape(*(up(size, 1 if name == "branches" else 8) for name, size in shape._asdict().items()))


def _choose_shapes(needs: Sequence[Shape], limit: int) -> list[Shape]:
    """At most `limit` shapes that hold all rows: the pair that costs least padding is joined until few are
    left.
    """
    steps = 32
    counts = Counter(_round_up(need, steps) for need in needs)
    while len(counts) > _PAIRWISE and steps > 1:  # joining takes memory with the square of their number
        steps //= 2
        counts = Counter(_round_up(need, steps) for need in needs)
    sides = np.array(sorted(counts))
    number = np.array([counts[Shape(*side)] for side in sides.tolist()], float)  # zero once joined to another

    def padding(index: slice) -> np.ndarray:
        """What joining these shapes with every other would add, in tokens of all their rows."""
        joined = np.maximum(sides[index][:, None], sides)
        one, other = _cost(sides[index]), _cost(sides)
        added = number[index][:, None] * (_cost(joined) - one[:, None]) + number * (_cost(joined) - other)
        return np.where(number > 0, added, np.inf)

    costs = padding(slice(None))
    np.fill_diagonal(costs, np.inf)
    for _ in range(len(sides) - limit):
        a, b = divmod(int(np.argmin(costs)), len(sides))
        sides[a] = np.maximum(sides[a], sides[b])
        number[a], number[b] = number[a] + number[b], 0
        costs[b] = costs[:, b] = np.inf
        costs[a] = padding(slice(a, a + 1))[0]
        costs[a, a] = np.inf
        costs[:, a] = costs[a]
    return sorted({Shape(*side) for side, rows in zip(sides.tolist(), number, strict=True) if rows})


def _cost(shapes: np.ndarray) -> np.ndarray:
    """`Shape.cost` of an array of shapes [..., 5]."""
    prefix, branches, branch, stream = (shapes[..., i].astype(float) for i in range(4))
    return stream + (prefix**2 + branches * branch * (prefix + branch)) / _SCORES_PER_TOKEN


def _group_steps(
    rows: Sequence[Row],
    needs: Sequence[Shape],
    shapes: list[Shape],
    rows_per_step: int,
    sizes: Sequence[_Sizes],
    rng: np.random.Generator,
) -> list[Step]:
    """Rows of one shape, shuffled, `rows_per_step` at a time; a shape not seen before joins `shapes`."""
    by_shape: dict[Shape, list[Row]] = {}
    for row, need in zip(rows, needs, strict=True):
        fitting = [shape for shape in shapes if shape.holds(need)]
        if not fitting:
            fitting = [_round_up(Shape(*map(max, *shapes, need)), 8)]
            shapes += fitting
        by_shape.setdefault(min(fitting, key=Shape.cost), []).append(row)
    steps = []
    for shape in sorted(by_shape):
        same = by_shape[shape]
        same = [same[i] for i in rng.permutation(len(same))]
        for start in range(0, len(same), rows_per_step):
            chosen = same[start : start + rows_per_step]
            filler = chosen[0]._replace(counted=False)
            chosen += [filler] * (rows_per_step - len(chosen))
            steps.append(Step(shape, _balance(chosen, sizes), **_count(chosen, sizes)))
    return [steps[i] for i in rng.permutation(len(steps))]


def _balance(rows: list[Row], sizes: Sequence[_Sizes]) -> tuple[Row, ...]:
    """The row with most targets beside the one with fewest, and so on: shards get nearly equal counts."""

    def targets(row: Row) -> int:
        return int(sizes[row.tree].targets[list(row.branches)].sum()) if row.counted else 0

    ordered = sorted(rows, key=targets, reverse=True)
    paired = []
    while ordered:
        paired.append(ordered.pop(0))
        if ordered:
            paired.append(ordered.pop())
    return tuple(paired)


def _count(rows: Sequence[Row], sizes: Sequence[_Sizes]) -> dict[str, int]:
    """The counts of a `Step`."""
    counts = {"samples": 0, "targets": 0, "tokens": 0, "unshared_tokens": 0}
    for row in rows:
        if row.counted:
            size, picked = sizes[row.tree], list(row.branches)
            inputs = int(size.inputs[picked].sum())
            counts["samples"] += len(picked)
            counts["targets"] += int(size.targets[picked].sum())
            counts["tokens"] += size.prefix + inputs
            counts["unshared_tokens"] += len(picked) * size.prefix + inputs
    return counts
