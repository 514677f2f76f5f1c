"""Which branches of a tree share a row: shuffled, with nearly equal numbers of tokens in every row."""

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.data.shapes import Shape

# Rows whose branches are dealt out together. Random rows differ by as many tokens as branches differ by chance;
# dealing evens that out, and within a window this large the company of a branch is still a matter of chance.
_WINDOW = 512


class Row(NamedTuple):
    """One packed tree: `branches` of `trees[tree]`. A row with `counted` false only fills up a step."""

    tree: int
    branches: tuple[int, ...]
    counted: bool = True

    def halves(self) -> tuple["Row", "Row"]:
        """The same branches in two rows."""
        middle = len(self.branches) // 2
        parts = self.branches[:middle], self.branches[middle:]
        return self._replace(branches=parts[0]), self._replace(branches=parts[1])


class Sizes(NamedTuple):
    """Lengths of a tree: prefix tokens, and per branch the tokens read and the targets."""

    prefix: int
    inputs: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, tree: TokenTree) -> "Sizes":
        return cls(len(tree.prefix), tree.inputs.astype(np.int64), tree.targets.astype(np.int64))

    def needed(self, branches: Sequence[int]) -> Shape:
        """The smallest shape that holds a row of these branches."""
        picked = list(branches)
        return Shape(
            prefix=self.prefix,
            branches=len(picked),
            branch=int(self.inputs[picked].max()),
            stream=self.prefix + int(self.inputs[picked].sum()),
            targets=int(self.targets[picked].sum()),
        )

    def any_branch(self) -> Shape:
        """A shape that holds any one branch."""
        longest = int(self.inputs.max())
        return Shape(self.prefix, 1, longest, self.prefix + longest, int(self.targets.max()))


class Fill(NamedTuple):
    """What fills a row: so many branches, or (where `tokens` is given) so many tokens. A single branch that is
    longer has a row of its own.
    """

    branches: int
    tokens: int | None = None

    def room(self, sizes: Sizes) -> float:
        """Tokens of branches that fit a row of this tree."""
        if self.tokens is None:
            return float("inf")
        return max(self.tokens - sizes.prefix, int(sizes.inputs.max()))

    def least_rows(self, sizes: Sizes) -> int:
        """How many rows all branches need at least."""
        number = len(sizes.inputs)
        if self.tokens is None:
            return -(-number // self.branches)
        return min(number, int(-(-int(sizes.inputs.sum()) // max(1, self.room(sizes)))) or 1)


def row_counts(sizes: Sequence[Sizes], fill: Fill, rows_per_step: int) -> list[int]:
    """Rows of each tree. A few more than are needed where that makes the steps whole: smaller rows cost less
    than a row that only fills up a step.
    """
    counts = [fill.least_rows(each) if len(each.inputs) else 0 for each in sizes]
    for _ in range(-sum(counts) % rows_per_step):
        able = [i for i, each in enumerate(sizes) if len(each.inputs) > counts[i]]
        if not able:
            break
        fullest = max(able, key=lambda i: sizes[i].inputs.sum() / counts[i])
        counts[fullest] += 1
    return counts


def cut_rows(tree: int, sizes: Sizes, count: int, fill: Fill, rng: np.random.Generator) -> Iterator[Row]:
    """The branches of one tree in `count` rows, or in a few more where `fill.tokens` forces it.

    Not sorted by length: rows of nearly the same number of tokens need few shapes. Sorted rows pad attention's
    grid less and the stream more; with four shapes that costs more.
    """
    number = len(sizes.inputs)
    order = rng.permutation(number)
    room = fill.room(sizes)
    most = fill.branches if fill.tokens is None else number
    windows = -(-count // _WINDOW)
    for window in range(windows):
        first, last = (count * edge // windows for edge in (window, window + 1))
        own = order[number * first // count : number * last // count]
        rows = _deal(sizes.inputs[own], last - first, most)
        while max(int(sizes.inputs[own[row]].sum()) for row in rows) > room:
            rows = _deal(sizes.inputs[own], len(rows) + 1, most)
        for i in rng.permutation(len(rows)):
            yield Row(tree, tuple(own[rows[i]].tolist()))


def _deal(lengths: np.ndarray, rows: int, most: int) -> list[list[int]]:
    """Indices of `lengths` in rows of at most `most`: the longest first, each to the row with fewest tokens."""
    dealt: list[list[int]] = [[] for _ in range(rows)]
    lightest = [(0, row) for row in range(rows)]
    for index in np.argsort(-lengths, kind="stable").tolist():
        tokens, row = heapq.heappop(lightest)
        dealt[row].append(index)
        if len(dealt[row]) < most:
            # One more, so that branches without a token are dealt out as well and no row stays empty.
            heapq.heappush(lightest, (tokens + int(lengths[index]) + 1, row))
    return dealt
