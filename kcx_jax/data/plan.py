"""The row plan: which rows form which steps, and with which shapes.

A pure function of (trees, options, epoch), made before sharding: every process makes the same plan and packs
its own slice of each step's rows, so order and shapes never depend on the number of processes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.data.forest import Forest
from kcx_jax.data.mixing import mixed, spread
from kcx_jax.data.rows import Fill, Rows, cut_rows, row_counts
from kcx_jax.data.shapes import Shape, choose_shapes, round_up, widen
from kcx_jax.data.sizes import Sizes
from kcx_jax.data.steps import COUNTS, Steps
from kcx_jax.errors import KcxError

# Shapes are chosen by so many rows, which are several epochs of a small corpus: what its next shuffle brings
# would else not fit.
_ROWS_LOOKED_AT = 256


@dataclass(frozen=True)
class PlanOptions:
    """What the plan depends on beside the data: rows a step over all devices, branches a row, shapes
    compiled. `row_tokens` fills rows to so many tokens instead, whatever the number of branches. A step has rows
    of at least `min_schemas` trees where there are so many, and rows for them.
    """

    rows: int = 4
    branches: int = 8
    shapes: int = 4
    seed: int = 0
    row_tokens: int | None = None
    min_schemas: int = 16


@dataclass(frozen=True)
class RowPlan:
    """Every step of a run, and what it costs."""

    steps: Steps
    epoch_ends: tuple[int, ...]  # number of steps done at the end of each whole epoch

    def total(self, count: str) -> int:
        """Sum over the steps of "samples", "targets", "tokens" or "unshared_tokens"."""
        return int(self.steps.counts_S4[:, COUNTS.index(count)].sum())

    @property
    def rows(self) -> int:
        """Rows of all steps, those that only fill them up left out."""
        return int(self.steps.counted_SQ.sum())

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the steps, each once."""
        return [self.steps.shapes[number] for number in np.unique(self.steps.shapes_S)]

    @property
    def padded_tokens(self) -> int:
        """Tokens computed in the linear layers, padding included."""
        return self._over_rows(lambda shape: shape.stream)

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
        slots = self._over_rows(lambda shape: shape.prefix + shape.branches * shape.branch)
        return 1 - self.total("tokens") / max(1, slots)

    def _over_rows(self, size: Callable[[Shape], int]) -> int:
        """The sizes of all rows' shapes together."""
        each = np.array([size(shape) for shape in self.steps.shapes])
        return int(each[self.steps.shapes_S].sum()) * self.steps.rows_SQ.shape[1]


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
    forest = Forest(trees)
    if not len(forest.sizes.inputs_S):
        raise KcxError("no samples to train on: every tree is empty. Check the data and its limits.")
    cut = _Cutter(forest, options)
    looked_at = [cut.rows(epoch) for epoch in range(max(1, _ROWS_LOOKED_AT // int(cut.counts_N.sum())))]
    shapes = _shapes(looked_at, forest.sizes, options)
    planned: list[Steps] = []
    ends: list[int] = []
    done = 0
    while len(planned) < epochs if epochs is not None else done < (steps or 0):
        epoch = len(planned)
        rng = np.random.default_rng([options.seed, epoch])
        rows = looked_at[epoch] if epoch < len(looked_at) else cut.rows(epoch)
        planned.append(_group_steps(rows, shapes, options, forest.sizes, rng))
        done += len(planned[-1])
        ends.append(done)
    return RowPlan(Steps.joined(planned)[:steps], tuple(end for end in ends if steps is None or end <= steps))


class _Cutter:
    """Cuts all trees into rows, anew for each pass over them, and draws the rows of an epoch."""

    def __init__(self, forest: Forest, options: PlanOptions):
        self.sizes, self.seed = forest.sizes, options.seed
        fill = Fill(options.branches, options.row_tokens)
        self.most = options.branches if options.row_tokens is None else len(self.sizes.inputs_S)
        self.rooms_N = fill.rooms(self.sizes)
        self.counts_N = row_counts(self.sizes, fill, options.rows)
        some = np.flatnonzero(self.sizes.counts_N)
        passes, first = np.unique(forest.passes_N[some], return_index=True)
        # Trees by how often an epoch has them, in the order of the first of each.
        self.pools = {
            float(passes[number]): some[forest.passes_N[some] == passes[number]]
            for number in np.argsort(first)
        }

    def rows(self, epoch: int) -> Rows:
        """The rows of an epoch: it goes on with each pool where the epoch before stopped."""
        drawn: list[Rows] = []
        for number, (passes, pool) in enumerate(self.pools.items()):
            start, end = epoch * passes, (epoch + 1) * passes
            for cycle in range(int(start), math.ceil(end)):
                rng = np.random.default_rng([self.seed, cycle, 1 + number])
                rows = Rows.of(self._cut(pool, rng))
                first, last = (int(len(rows) * min(1, max(0, edge - cycle))) for edge in (start, end))
                drawn.append(rows.taken(spread(rows.trees_R, rng)[first:last]))
        return Rows.joined(drawn)

    def _cut(
        self, pool: np.ndarray, rng: np.random.Generator
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The rows of some trees, tree after tree."""
        firsts = self.sizes.firsts_N
        for tree in pool.tolist():
            inputs = self.sizes.inputs_S[firsts[tree] : firsts[tree + 1]]
            count, room = int(self.counts_N[tree]), int(self.rooms_N[tree])
            for branches, counts in cut_rows(inputs, count, self.most, room, rng):
                yield tree, branches, counts


def _shapes(looked_at: list[Rows], sizes: Sizes, options: PlanOptions) -> tuple[Shape, ...]:
    """Shapes that hold the rows of the first epochs, and any single branch of any tree; the cheapest first.

    As many as the options allow, or fewer where the steps of a small corpus then need less filling up.
    """
    epochs = len(looked_at)
    needs = np.concatenate([rows.needed(sizes) for rows in looked_at])
    singles = sizes.any_branch()

    def cost(shapes: tuple[Shape, ...]) -> float:
        rng = np.random.default_rng(options.seed)
        steps = [_group_steps(rows, shapes, options, sizes, rng) for rows in looked_at]
        return sum(shapes[number].cost() for epoch in steps for number in epoch.shapes_S.tolist())

    def widened(shapes: list[Shape]) -> tuple[Shape, ...]:
        return tuple(sorted(widen(shapes, singles), key=Shape.cost))

    if epochs == 1:
        return widened(_nested(choose_shapes(needs, options.shapes, options.rows)))
    chosen = [choose_shapes(needs, n + 1, options.rows * epochs) for n in range(options.shapes)]
    nested = [_nested(shapes) for shapes in chosen]
    return min(map(widened, chosen + nested), key=cost)


def _nested(shapes: list[Shape]) -> list[Shape]:
    """The shapes, the costliest made to hold the rows of all, and a little more: it takes what other shapes leave
    over for a step, and what the shuffle of a later epoch makes a little longer.
    """
    whole = Shape(*map(max, zip(*shapes, strict=True)))
    whole = round_up(whole._replace(stream=whole.stream * 65 // 64, targets=whole.targets * 17 // 16), 64)
    return [*sorted(shapes, key=Shape.cost)[:-1], whole]


def _group_steps(
    rows: Rows, shapes: tuple[Shape, ...], options: PlanOptions, sizes: Sizes, rng: np.random.Generator
) -> Steps:
    """Rows of one shape, shuffled, `options.rows` at a time; `shapes` are sorted by cost."""
    rows, needs_R5, shapes_R = _fitted(rows, shapes, sizes)
    by_shape = {
        number: same for number in range(len(shapes)) if len(same := np.flatnonzero(shapes_R == number))
    }
    rows_SQ = np.empty((0, options.rows), int)  # -1 where a step is to be filled up
    shapes_S = np.empty(0, int)
    for number in by_shape:
        same = by_shape[number][spread(rows.trees_R[by_shape[number]], rng)]
        if (larger := _taker(number, len(same), list(by_shape), shapes, options.rows)) is not None:
            whole = len(same) - len(same) % options.rows
            by_shape[larger] = np.concatenate([by_shape[larger], same[whole:]])
            same = same[:whole]
        steps_SQ = np.full((-(-len(same) // options.rows), options.rows), -1)
        for step, chosen in enumerate(mixed(rows.trees_R[same], options.rows, options.min_schemas)):
            steps_SQ[step, : len(chosen)] = same[chosen]
        rows_SQ = np.concatenate([rows_SQ, steps_SQ])
        shapes_S = np.concatenate([shapes_S, np.full(len(steps_SQ), number)])
    counted_SQ = rows_SQ >= 0
    rows_SQ = np.where(counted_SQ, rows_SQ, rows_SQ[:, :1])
    steps = Steps.balanced(rows, shapes, shapes_S, rows_SQ, counted_SQ, needs_R5)
    return steps.at(rng.permutation(len(steps)))


def _fitted(rows: Rows, shapes: tuple[Shape, ...], sizes: Sizes) -> tuple[Rows, np.ndarray, np.ndarray]:
    """The rows, what each needs, and the number of the first shape that holds it; a row that none holds is halved
    until its parts fit.
    """
    while True:
        needs_R5 = rows.needed(sizes)
        shapes_R = np.full(len(rows), len(shapes))
        for number in reversed(range(len(shapes))):
            shapes_R[(needs_R5 <= np.array(shapes[number])).all(axis=1)] = number
        unfit = shapes_R == len(shapes)
        if not unfit.any():
            return rows, needs_R5, shapes_R
        rows = rows.halved(unfit)


def _taker(
    number: int, rows: int, used: list[int], shapes: tuple[Shape, ...], rows_per_step: int
) -> int | None:
    """The larger shape of those used whose steps take what is left of so many rows of shape `number`, where that
    costs less than rows that fill up a step.
    """
    shape, left = shapes[number], rows % rows_per_step
    larger = [other for other in used if other != number and shapes[other].holds(shape)]
    if not left or not larger:
        return None
    dearer = left * (shapes[larger[0]].cost() - shape.cost())
    return larger[0] if dearer < (rows_per_step - left) * shape.cost() else None
