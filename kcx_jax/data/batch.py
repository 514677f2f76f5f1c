"""Token trees -> the arrays of one step.

R rows (one tree each), T stream tokens, P prefix slots, K branches of L slots, M targets a row.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.data.rows import Row
from kcx_jax.data.shapes import Shape
from kcx_jax.data.steps import Step

Array = Any  # numpy when packed, jax.Array inside a step


class TreeBatch(NamedTuple):
    """numpy arrays of one step, all int32. The stream of a row is its prefix, then its branches one after
    another.

    The last token of an answer (the end token) is a target and never an input. Padding tokens have id 0,
    padding slots of the index arrays point at token 0, padding targets have mask 0.
    """

    tokens_RT: Array
    positions_RT: Array  # a branch's positions continue from the prefix
    prefix_index_RP: Array  # where in the stream prefix token p lies
    prefix_length_R: Array
    branch_index_RKL: Array  # where in the stream token l of branch k lies
    branch_length_RK: Array
    grid_index_RT: Array  # where stream token t lies in the prefix's P slots followed by the K*L of the grid
    target_position_RM: Array  # stream position whose hidden state predicts target m
    target_label_RM: Array
    target_mask_RM: Array  # 1 for real targets


def row_sizes(shape: Shape) -> TreeBatch:
    """The sizes of the arrays of one row, in place of the arrays."""
    P, K, L, T, M = shape
    return TreeBatch((T,), (T,), (P,), (), (K, L), (K,), (T,), (M,), (M,), (M,))


def pack_step(trees: Sequence[TokenTree], step: Step, rows: slice = slice(None)) -> TreeBatch:
    """The arrays of a step, or of one process's slice of its rows."""
    packed = [_pack_row(trees[row.tree], row, step.shape) for row in step.rows[rows]]
    return TreeBatch(*(np.stack(arrays) for arrays in zip(*packed, strict=True)))


def _pack_row(tree: TokenTree, row: Row, shape: Shape) -> TreeBatch:
    """The arrays of one row, without the row axis."""
    P, L = shape.prefix, shape.branch
    prefix_length = len(tree.prefix)
    arrays = TreeBatch(
        *(np.zeros(size, np.int32) for size in row_sizes(shape)),
    )
    tokens_T, positions_T, prefix_index_P, _, branch_index_KL, branch_length_K, grid_index_T = arrays[:7]
    position_M, label_M, mask_M = arrays[7:]
    tokens_T[:prefix_length] = tree.prefix
    positions_T[:prefix_length] = np.arange(prefix_length)
    prefix_index_P[:prefix_length] = grid_index_T[:prefix_length] = np.arange(prefix_length)
    start, target = prefix_length, 0
    for k, index in enumerate(row.branches):
        branch = tree.branches[index]
        context, answer, length = len(branch.context), len(branch.answer), branch.inputs
        own = slice(start, start + length)
        tokens_T[own] = np.concatenate([branch.context, branch.answer[:-1]])
        positions_T[own] = prefix_length + np.arange(length)
        branch_index_KL[k, :length] = start + np.arange(length)
        branch_length_K[k] = length
        grid_index_T[own] = P + k * L + np.arange(length)
        # Pairs (hidden position, label), never a shifted array: with an empty context the first label of
        # every branch is predicted by the prefix's last token, not by the stream's token before it.
        targets = slice(target, target + answer)
        position_M[targets] = start + context - 1 + np.arange(answer)
        if not context:
            position_M[target] = prefix_length - 1
        label_M[targets] = branch.answer
        start, target = start + length, target + answer
    mask_M[:target] = row.counted
    return arrays._replace(prefix_length_R=np.int32(prefix_length))
