"""From prompt trees to arrays: the row plan, tree packing, the Grain graph, sharding by process.

Lives here: which records form which rows, with which shapes, in which order. Not here: the loss (`training`).
"""

from kcx_jax.data.batch import TreeBatch, pack_step
from kcx_jax.data.encode import TokenBranch, TokenTree, encode_tree, token_tree
from kcx_jax.data.forest import Forest
from kcx_jax.data.loading import batch_iterator
from kcx_jax.data.packed import PackedTrees, write_trees
from kcx_jax.data.packing import Packing, arrange
from kcx_jax.data.parts import LengthLimit, cut_at, drop_overlong, joined
from kcx_jax.data.plan import PlanOptions, RowPlan, make_plan
from kcx_jax.data.rows import Row
from kcx_jax.data.shapes import Shape
from kcx_jax.data.steps import Step

__all__ = [
    "Forest",
    "LengthLimit",
    "PackedTrees",
    "Packing",
    "PlanOptions",
    "Row",
    "RowPlan",
    "Shape",
    "Step",
    "TokenBranch",
    "TokenTree",
    "TreeBatch",
    "arrange",
    "batch_iterator",
    "cut_at",
    "drop_overlong",
    "encode_tree",
    "joined",
    "make_plan",
    "pack_step",
    "token_tree",
    "write_trees",
]
