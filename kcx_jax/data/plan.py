"""The row plan: which rows form which steps, and with which shapes.

A pure function of (trees, options, epoch), made before sharding: every process makes the same plan and packs
its own slice of each step's rows, so order and shapes never depend on the number of processes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.data.mixing import mixed, spread
from kcx_jax.data.rows import Fill, Row, Sizes, cut_rows, row_counts
from kcx_jax.data.shapes import Shape, choose_shapes, round_up, widen
from kcx_jax.errors import KcxError

# Shapes are chosen by so many rows, which are several epochs of a small corpus: what its next shuffle brings
# would else not fit.
_ROWS_LOOKED_AT = 256


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
    compiled. `row_tokens` fills rows to so many tokens instead, whatever the number of branches. A step has rows
    of at least `min_schemas` trees where there are so many, and rows for them.
    """

    rows: int = 4
    branches: int = 16
    shapes: int = 4
    seed: int = 0
    row_tokens: int | None = None
    min_schemas: int = 16


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

    Each epoch shuffles the branches of every tree into rows, and the rows into steps; of a tree that it has not
    just once, it takes the rows that come next. Shapes are chosen by the
    first epochs; a row of a later one that none of them holds is halved. Raises `KcxError` where
    there is nothing to train on.
    """
    if (epochs is None) == (steps is None):
        raise ValueError("give epochs or steps")
    if not any(tree.branches for tree in trees):
        raise KcxError("no samples to train on: every tree is empty. Check the data and its limits.")
    sizes = [Sizes.of(tree) for tree in trees]
    cut = _Cutter(trees, sizes, options)
    shapes = _shapes(cut, sizes, options)
    planned: list[Step] = []
    ends: list[int] = []
    while len(ends) < epochs if epochs is not None else len(planned) < (steps or 0):
        rng = np.random.default_rng([options.seed, len(ends)])
        planned += _group_steps(cut.rows(len(ends)), shapes, options, sizes, rng)
        ends.append(len(planned))
    if steps is not None:
        planned, ends = planned[:steps], [end for end in ends if end <= steps]
    return RowPlan(tuple(planned), tuple(ends))


class _Cutter:
    """Cuts all trees into rows, anew for each pass over them, and draws the rows of an epoch."""

    def __init__(self, trees: Sequence[TokenTree], sizes: Sequence[Sizes], options: PlanOptions):
        self.sizes, self.seed = sizes, options.seed
        self.fill = Fill(options.branches, options.row_tokens)
        self.counts = row_counts(sizes, self.fill, options.rows)
        self.pools: dict[float, list[int]] = {}  # trees by how often an epoch has them
        for index, tree in enumerate(trees):
            if tree.branches:
                self.pools.setdefault(tree.passes, []).append(index)

    def rows(self, epoch: int) -> list[Row]:
        """The rows of an epoch: it goes on with each pool where the epoch before stopped."""
        drawn: list[Row] = []
        for number, (passes, pool) in enumerate(self.pools.items()):
            start, end = epoch * passes, (epoch + 1) * passes
            for cycle in range(int(start), math.ceil(end)):
                rows = self._cycle(pool, np.random.default_rng([self.seed, cycle, 1 + number]))
                first, last = (int(len(rows) * min(1, max(0, edge - cycle))) for edge in (start, end))
                drawn += rows[first:last]
        return drawn

    def _cycle(self, pool: list[int], rng: np.random.Generator) -> list[Row]:
        """All rows of some trees, shuffled."""
        cut = (cut_rows(tree, self.sizes[tree], self.counts[tree], self.fill, rng) for tree in pool)
        return spread([row for rows in cut for row in rows], rng)


def _shapes(cut: _Cutter, sizes: Sequence[Sizes], options: PlanOptions) -> list[Shape]:
    """Shapes that hold the rows of the first epochs, and any single branch of any tree.

    As many as the options allow, or fewer where the steps of a small corpus then need less filling up.
    """
    epochs = max(1, _ROWS_LOOKED_AT // sum(cut.counts))
    looked_at = [cut.rows(epoch) for epoch in range(epochs)]
    needs = [sizes[row.tree].needed(row.branches) for rows in looked_at for row in rows]
    singles = [each.any_branch() for each in sizes if len(each.inputs)]

    def cost(shapes: list[Shape]) -> float:
        rng = np.random.default_rng(options.seed)
        steps = (_group_steps(rows, shapes, options, sizes, rng) for rows in looked_at)
        return sum(step.shape.cost() for epoch in steps for step in epoch)

    if epochs == 1:
        return widen(_nested(choose_shapes(needs, options.shapes, options.rows)), singles)
    chosen = [choose_shapes(needs, n + 1, options.rows * epochs) for n in range(options.shapes)]
    nested = [_nested(shapes) for shapes in chosen]
    return min((widen(shapes, singles) for shapes in chosen + nested), key=cost)


def _nested(shapes: list[Shape]) -> list[Shape]:
    """The shapes, the costliest made to hold the rows of all, and a little more: it takes what other shapes leave
    over for a step, and what the shuffle of a later epoch makes a little longer.
    """
    whole = Shape(*map(max, zip(*shapes, strict=True)))
    whole = round_up(whole._replace(stream=whole.stream * 65 // 64, targets=whole.targets * 17 // 16), 64)
    return [*sorted(shapes, key=Shape.cost)[:-1], whole]


def _group_steps(
    rows: Sequence[Row],
    shapes: Sequence[Shape],
    options: PlanOptions,
    sizes: Sequence[Sizes],
    rng: np.random.Generator,
) -> list[Step]:
    """Rows of one shape, shuffled, `options.rows` at a time."""
    by_shape = _by_shape(rows, shapes, sizes)
    steps = []
    for shape in sorted(by_shape, key=Shape.cost):
        same = spread(by_shape[shape], rng)
        if (larger := _taker(shape, len(same), by_shape, options.rows)) is not None:
            whole = len(same) - len(same) % options.rows
            by_shape[larger] += same[whole:]
            same = same[:whole]
        for chosen in mixed(same, options.rows, options.min_schemas):
            filler = chosen[0]._replace(counted=False)
            chosen += [filler] * (options.rows - len(chosen))
            steps.append(Step(shape, _balance(chosen, sizes), **_count(chosen, sizes)))
    return [steps[i] for i in rng.permutation(len(steps))]


def _by_shape(rows: Sequence[Row], shapes: Sequence[Shape], sizes: Sequence[Sizes]) -> dict[Shape, list[Row]]:
    """Each row under the cheapest shape that holds it; one that none holds is halved until its parts fit."""
    by_shape: dict[Shape, list[Row]] = {}
    waiting = list(reversed(rows))
    while waiting:
        row = waiting.pop()
        need = sizes[row.tree].needed(row.branches)
        fitting = [shape for shape in shapes if shape.holds(need)]
        if fitting:
            by_shape.setdefault(min(fitting, key=Shape.cost), []).append(row)
        else:
            waiting += row.halves()
    return by_shape


def _taker(shape: Shape, number: int, by_shape: dict[Shape, list[Row]], rows_per_step: int) -> Shape | None:
    """The larger shape whose steps take what is left of `number` rows of a shape, where that costs less than
    rows that fill up a step.
    """
    left = number % rows_per_step
    larger = [other for other in by_shape if other != shape and other.holds(shape)]
    if not left or not larger:
        return None
    taker = min(larger, key=Shape.cost)
    dearer = left * (taker.cost() - shape.cost())
    return taker if dearer < (rows_per_step - left) * shape.cost() else None


def _balance(rows: list[Row], sizes: Sequence[Sizes]) -> tuple[Row, ...]:
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


def _count(rows: Sequence[Row], sizes: Sequence[Sizes]) -> dict[str, int]:
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
