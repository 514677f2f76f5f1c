"""Token trees that come in parts: (number, tree) pairs, those of one number being one tree's branches in turn.

So a tree of millions of branches need not be in memory; `write_trees` takes it as it comes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.errors import KcxError


def joined(parts: Iterable[tuple[int, TokenTree]]) -> list[TokenTree]:
    """The whole trees, in memory."""
    trees = []
    for _, group in groupby(parts, key=itemgetter(0)):
        own = [tree for _, tree in group]
        trees.append(replace(own[0], branches=tuple(branch for tree in own for branch in tree.branches)))
    return trees


def cut_at(tree: TokenTree, tokens: int) -> TokenTree:
    """The tree with a prefix of so many tokens, no more than it has; what stood behind them begins every branch."""
    moved = tree.prefix[tokens:]
    if not len(moved):
        return tree
    branches = tuple(
        replace(branch, context=np.concatenate([moved, branch.context])) for branch in tree.branches
    )
    return replace(tree, prefix=tree.prefix[:tokens], branches=branches)


class LengthLimit:
    """Takes the samples that are longer than a model's positions out of trees, and counts.

    `samples`: all that were seen; `dropped`: those left out; `longest_prefix` in tokens; `excess`: by how many tokens
    the longest sample exceeds the positions, those left aside whose own text takes more than half of them.
    """

    def __init__(self, max_positions: int):
        self.max_positions = max_positions
        self.samples = self.dropped = self.longest_prefix = self.excess = 0
        self._longest = (0, "")  # of the samples left out: its tokens, and what it is

    def fitting(self, tree: TokenTree) -> TokenTree | None:
        """The tree without samples that are too long; None where no other is left."""
        prefix = len(tree.prefix)
        self.samples += len(tree.branches)
        self.longest_prefix = max(self.longest_prefix, prefix)
        if not len(tree.branches) or prefix + tree.inputs.max() <= self.max_positions:
            return tree if len(tree.branches) else None
        kept = []
        for branch in tree.branches:
            total = prefix + branch.inputs
            if total <= self.max_positions:
                kept.append(branch)
                continue
            self.dropped += 1
            if branch.inputs <= self.max_positions // 2:
                self.excess = max(self.excess, total - self.max_positions)
            if total > self._longest[0]:
                what = f"{tree.name} record {branch.record_id!r}, {prefix} of them schema"
                self._longest = total, what
        return replace(tree, branches=tuple(kept)) if kept else None

    def check(self) -> None:
        """Raise `KcxError` with counts and the longest sample if any was left out."""
        if self.dropped:
            tokens, what = self._longest
            raise KcxError(
                f"{self.dropped} of {self.samples} samples are longer than the model's {self.max_positions} "
                f"positions, the longest {tokens} tokens ({what}). Shorten the schema or the texts, or set "
                "allow_overlong: true to train without them."
            )


def drop_overlong(
    trees: Sequence[TokenTree], max_positions: int, allow: bool = False
) -> tuple[list[TokenTree], int]:
    """The trees without samples longer than the model's positions, and how many samples that left out.

    Raises `KcxError` with counts and an example unless `allow` is true: nothing is left out silently or cut.
    """
    limit = LengthLimit(max_positions)
    kept = [fitting for tree in trees if (fitting := limit.fitting(tree)) is not None]
    if not allow:
        limit.check()
    return kept, limit.dropped
