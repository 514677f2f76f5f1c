"""How samples share rows: trees that share their schema, or, to compare with, whole samples."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kcx_jax.data.encode import TokenBranch, TokenTree

# tree: a row is one schema and samples below it. plain: a row is whole samples one after another, each with its
# own copy of the schema, whatever their schemas. none: a row is one sample.
Packing = Literal["tree", "plain", "none"]


def arrange(trees: Sequence[TokenTree], packing: Packing) -> Sequence[TokenTree]:
    """The trees that rows are cut from: their own, or for `plain` whole samples below no prefix, one tree for all
    that an epoch has equally often.
    """
    if packing != "plain":
        return trees
    samples: dict[float, list[TokenBranch]] = {}
    for tree in trees:
        samples.setdefault(tree.passes, []).extend(
            TokenBranch(np.concatenate([tree.prefix, branch.context]), branch.answer, branch.record_id)
            for branch in tree.branches
        )
    nothing = np.zeros(0, np.int32)
    return [
        TokenTree(nothing, tuple(branches), "packed samples", passes) for passes, branches in samples.items()
    ]
