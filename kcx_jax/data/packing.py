"""How samples share rows: trees that share their schema, or, to compare with, whole samples."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from kcx_jax.data.encode import StoredBranches, TokenTree

# tree: a row is one schema and samples below it. plain: a row is whole samples one after another, each with its
# own copy of the schema, whatever their schemas. none: a row is one sample.
Packing = Literal["tree", "plain", "none"]


class _WholeSamples(StoredBranches):
    """The samples of trees, each with its own copy of its tree's prefix."""

    def __init__(self, trees: Sequence[TokenTree]):
        self.trees = trees
        self.ends = np.cumsum([len(tree.branches) for tree in trees])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self.ends, index, side="right"))
        tree = self.trees[number]
        branch = tree.branches[index - int(self.ends[number]) + len(tree.branches)]
        return replace(branch, context=np.concatenate([tree.prefix, branch.context]))

    @cached_property
    def inputs(self) -> np.ndarray:
        return np.concatenate([len(tree.prefix) + tree.inputs for tree in self.trees])

    @cached_property
    def targets(self) -> np.ndarray:
        return np.concatenate([tree.targets for tree in self.trees])


def arrange(trees: Sequence[TokenTree], packing: Packing) -> Sequence[TokenTree]:
    """The trees that rows are cut from: their own, or for `plain` whole samples below no prefix, one tree for all
    that an epoch has equally often.
    """
    if packing != "plain":
        return trees
    alike: dict[float, list[TokenTree]] = {}
    for tree in trees:
        alike.setdefault(tree.passes, []).append(tree)
    nothing = np.zeros(0, np.int32)
    return [TokenTree(nothing, _WholeSamples(own), "packed samples", passes) for passes, own in alike.items()]
