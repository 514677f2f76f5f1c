"""How samples share rows: trees that share their schema, or, to compare with, whole samples."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kcx_jax.data.encode import TokenBranch, TokenTree

# tree: a row is one schema and samples below it. plain: a row is whole samples one after another, each with its
# own copy of the schema, whatever their schemas. none: a row is one sample.
Packing = Literal["tree", "plain", "none"]


def arrange(trees: Sequence[TokenTree], packing: Packing) -> Sequence[TokenTree]:
    """The trees that rows are cut from: their own, or for `plain` one tree of whole samples with no prefix."""
    if packing != "plain":
        return trees
    branches = (
        TokenBranch(np.concatenate([tree.prefix, branch.context]), branch.answer, branch.record_id)
        for tree in trees
        for branch in tree.branches
    )
    return [TokenTree(np.zeros(0, np.int32), tuple(branches), "packed samples")]
