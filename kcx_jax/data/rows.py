"""Which branches of a tree share a row: shuffled, with nearly equal numbers of tokens in every row.

N trees, R rows, B branches of all rows one after another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heapreplace
from typing import NamedTuple

import numpy as np

from kcx_jax.data.sizes import Sizes

# Rows whose branches are dealt out together. Random rows differ by as many tokens as branches differ by chance;
# dealing evens that out, and within a window this large the company of a branch is still a matter of chance.
_WINDOW = 512
_BLOCK = 1 << 16  # rows whose branches are looked up at once


class Row(NamedTuple):
    """One packed tree: `branches` of `trees[tree]`. A row with `counted` false only fills up a step."""

    tree: int
    branches: tuple[int, ...]
    counted: bool = True


@dataclass(frozen=True, eq=False)
class Rows:
    """Many rows as arrays, four bytes a branch. Row r has the branches from `starts_R[r]` up to `starts_R[r + 1]`."""

    trees_R: np.ndarray  # int32
    starts_R: np.ndarray  # int64, one more than rows
    branches_B: np.ndarray  # int32, counted in their tree

    @classmethod
    def of(cls, rows: Iterable[tuple[int, np.ndarray, np.ndarray]]) -> "Rows":
        """Rows of trees: (tree, its branches row after row, how many each row has)."""
        trees, branches, counts = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for tree, own_branches, own_counts in rows:
            trees.append(np.full(len(own_counts), tree, np.int32))
            branches.append(own_branches.astype(np.int32))
            counts.append(own_counts)
        return cls(np.concatenate(trees), _starts(np.concatenate(counts)), np.concatenate(branches))

    @classmethod
    def joined(cls, parts: Iterable["Rows"]) -> "Rows":
        """The rows of all parts."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        counts = [np.diff(part.starts_R) for part in parts]
        return cls(
            np.concatenate([part.trees_R for part in parts]),
            _starts(np.concatenate(counts)),
            np.concatenate([part.branches_B for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.trees_R)

    def row(self, index: int, counted: bool = True) -> Row:
        """One of the rows."""
        start, end = self.starts_R[index : index + 2].tolist()
        return Row(int(self.trees_R[index]), tuple(self.branches_B[start:end].tolist()), counted)

    def taken(self, index: np.ndarray) -> "Rows":
        """The rows of these numbers, in this order."""
        counts = np.diff(self.starts_R)[index]
        starts = _starts(counts)
        branches_B = np.empty(starts[-1], np.int32)
        for block in _blocks(len(index)):
            ahead = self.starts_R[index[block]] - starts[:-1][block]
            own = slice(starts[block.start], starts[block.stop])
            branches_B[own] = self.branches_B[
                np.repeat(ahead, counts[block]) + np.arange(own.start, own.stop)
            ]
        return Rows(self.trees_R[index], starts, branches_B)

    def halved(self, which_R: np.ndarray) -> "Rows":
        """The same rows, some of them in two, one after the other."""
        middles = (self.starts_R[:-1] + self.starts_R[1:]) // 2
        return Rows(
            np.repeat(self.trees_R, 1 + which_R),
            np.sort(np.concatenate([self.starts_R, middles[which_R]])),
            self.branches_B,
        )

    def needed(self, sizes: Sizes) -> np.ndarray:
        """[R, 5] int64: the smallest `Shape` that holds each row."""
        needs_R5 = np.empty((len(self), 5), np.int64)
        for block in _blocks(len(self)):
            trees, starts = self.trees_R[block], self.starts_R[block.start : block.stop + 1]
            branches_B = self.branches_B[starts[0] : starts[-1]]
            counts, cuts = np.diff(starts), starts[:-1] - starts[0]
            samples_B = np.repeat(sizes.firsts_N[trees], counts) + branches_B
            inputs_B, prefixes = sizes.inputs_S[samples_B], sizes.prefixes_N[trees]
            needs_R5[block, 0] = prefixes
            needs_R5[block, 1] = counts
            needs_R5[block, 2] = np.maximum.reduceat(inputs_B, cuts)
            needs_R5[block, 3] = prefixes + np.add.reduceat(inputs_B, cuts, dtype=np.int64)
            needs_R5[block, 4] = np.add.reduceat(sizes.targets_S[samples_B], cuts, dtype=np.int64)
        return needs_R5


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _blocks(number: int) -> Iterator[slice]:
    for first in range(0, number, _BLOCK):
        yield slice(first, min(first + _BLOCK, number))


class Fill(NamedTuple):
    """What fills a row: so many branches, or (where `tokens` is given) so many tokens. A single branch that is
    longer has a row of its own.
    """

    branches: int
    tokens: int | None = None

    def rooms(self, sizes: Sizes) -> np.ndarray:
        """Tokens of branches that fit a row of each tree."""
        if self.tokens is None:
            return np.full(len(sizes.prefixes_N), np.iinfo(np.int64).max)
        return np.maximum(self.tokens - sizes.prefixes_N, sizes.longest_N)

    def least_rows(self, sizes: Sizes) -> np.ndarray:
        """How many rows all branches of each tree need at least."""
        if self.tokens is None:
            return -(-sizes.counts_N // self.branches)
        rows_N = -(-sizes.totals_N // np.maximum(1, self.rooms(sizes)))
        return np.minimum(sizes.counts_N, np.maximum(1, rows_N))


def row_counts(sizes: Sizes, fill: Fill, rows_per_step: int) -> np.ndarray:
    """Rows of each tree. A few more than are needed where that makes the steps whole: smaller rows cost less
    than a row that only fills up a step.
    """
    rows_N = fill.least_rows(sizes)
    for _ in range(-int(rows_N.sum()) % rows_per_step):
        able = sizes.counts_N > rows_N
        if not able.any():
            break
        rows_N[np.argmax(np.where(able, sizes.totals_N / np.maximum(1, rows_N), -1))] += 1
    return rows_N


def cut_rows(
    inputs: np.ndarray, count: int, most: int, room: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The branches of one tree, which read `inputs` tokens, in `count` rows of at most `most` branches and `room`
    tokens, or in a few more where `room` forces it: window by window the branches row after row, and how many each
    row has.

    Not sorted by length: rows of nearly the same number of tokens need few shapes. Sorted rows pad attention's
    grid less and the stream more; with four shapes that costs more.
    """
    number = len(inputs)
    order = rng.permutation(number)
    windows = -(-count // _WINDOW)
    for window in range(windows):
        first, last = (count * edge // windows for edge in (window, window + 1))
        own = order[number * first // count : number * last // count]
        lengths, rows = inputs[own], last - first
        longest_first = np.argsort(-lengths, kind="stable")
        lengths = lengths[longest_first].astype(np.int64)
        dealt = _deal(lengths, rows, most)
        while int(np.bincount(dealt, lengths).max()) > room:
            rows += 1
            dealt = _deal(lengths, rows, most)
        shuffled = rng.permutation(rows)
        place = np.argsort(shuffled)  # of each row after the shuffle
        row_by_row = np.argsort(place[dealt], kind="stable")
        yield own[longest_first[row_by_row]], np.bincount(dealt, minlength=rows)[shuffled]


def _deal(lengths: np.ndarray, rows: int, most: int) -> np.ndarray:
    """A row for each of the branches, longest first: the one with fewest tokens of those with less than `most`."""
    dealt = []
    left = [most] * rows
    lightest = list(range(rows))  # tokens * rows + row
    # One token more each, so that branches without a token are dealt out as well and no row stays empty.
    for added in ((lengths + 1) * rows).tolist():
        lightest_row = lightest[0]
        row = lightest_row % rows
        dealt.append(row)
        left[row] -= 1
        if left[row]:
            heapreplace(lightest, lightest_row + added)
        else:
            heappop(lightest)
    return np.array(dealt)
