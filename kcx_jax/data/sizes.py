"""Lengths of many trees as arrays: all that the row plan needs of them.

N trees, S samples of all trees one after another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kcx_jax.data.encode import TokenTree


@dataclass(frozen=True, eq=False)
class Sizes:
    """Tokens of every prefix, what the model reads of every sample, its targets; tree n has the samples from
    `firsts_N[n]` up to `firsts_N[n + 1]`.
    """

    prefixes_N: np.ndarray
    firsts_N: np.ndarray  # one more than trees
    inputs_S: np.ndarray
    targets_S: np.ndarray

    @classmethod
    def of(cls, trees: Sequence[TokenTree]) -> "Sizes":
        """Those of trees in memory."""
        counts = [len(tree.branches) for tree in trees]
        return cls(
            np.array([len(tree.prefix) for tree in trees], np.int64),
            np.cumsum([0, *counts]),
            np.concatenate([np.zeros(0, np.int32), *(tree.inputs for tree in trees)]),
            np.concatenate([np.zeros(0, np.int32), *(tree.targets for tree in trees)]),
        )

    @classmethod
    def joined(cls, parts: Iterable["Sizes"]) -> "Sizes":
        """Those of several sequences of trees, one after another."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        before = np.cumsum([0, *(len(part.inputs_S) for part in parts)])
        firsts = [part.firsts_N[:-1] + start for part, start in zip(parts, before[:-1], strict=True)]
        return cls(
            np.concatenate([part.prefixes_N for part in parts]),
            np.concatenate([*firsts, before[-1:]]),
            np.concatenate([part.inputs_S for part in parts]),
            np.concatenate([part.targets_S for part in parts]),
        )

    @cached_property
    def counts_N(self) -> np.ndarray:
        """Samples of every tree."""
        return np.diff(self.firsts_N)

    @cached_property
    def totals_N(self) -> np.ndarray:
        """What the model reads of all samples of every tree together."""
        return self._over_trees(np.add, self.inputs_S)

    @cached_property
    def longest_N(self) -> np.ndarray:
        """What the model reads of the longest sample of every tree."""
        return self._over_trees(np.maximum, self.inputs_S)

    @cached_property
    def most_targets_N(self) -> np.ndarray:
        """Targets of the sample of every tree that has most."""
        return self._over_trees(np.maximum, self.targets_S)

    def any_branch(self) -> np.ndarray:
        """[trees with samples, 5]: a `Shape` for each that holds any one of its samples."""
        sizes_N5 = np.stack(
            [
                self.prefixes_N,
                np.ones_like(self.prefixes_N),
                self.longest_N,
                self.prefixes_N + self.longest_N,
                self.most_targets_N,
            ],
            axis=1,
        )
        return sizes_N5[self.counts_N > 0]

    def _over_trees(self, operation: np.ufunc, values_S: np.ndarray) -> np.ndarray:
        """The samples of each tree put together; 0 for a tree without any."""
        result_N = np.zeros(len(self.counts_N), np.int64)
        some = self.counts_N > 0
        result_N[some] = operation.reduceat(values_S, self.firsts_N[:-1][some], dtype=np.int64)
        return result_N
