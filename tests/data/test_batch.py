"""Packed rows: what the model reads and must predict, rebuilt from the arrays by an independent reading."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.data import PlanOptions, make_plan, pack_step, token_tree

ids = st.integers(3, 999)
branch = st.tuples(st.lists(ids, max_size=6), st.lists(ids, max_size=5).map(lambda answer: [*answer, 2]))
tree = st.tuples(st.lists(ids, min_size=1, max_size=12), st.lists(branch, min_size=1, max_size=9))


@settings(max_examples=100, deadline=None)
@given(trees=st.lists(tree, min_size=1, max_size=3), seed=st.integers(0, 99))
def test_each_label_follows_the_text_of_its_own_sample(trees, seed):
    """The multiset of (tokens seen so far, label) equals that of the samples one by one."""
    token_trees = [token_tree(*t) for t in trees]
    plan = make_plan(token_trees, PlanOptions(rows=2, branches=4, shapes=2, seed=seed), epochs=1)
    expected = sorted(
        (tuple(prefix + context + answer[:i]), label)
        for prefix, branches in trees
        for context, answer in branches
        for i, label in enumerate(answer)
    )
    found = [pair for step in plan.steps for pair in read_targets(pack_step(token_trees, step))]
    assert sorted(found) == expected
    assert plan.total("targets") == len(expected)


def read_targets(batch):
    """(text seen, label) of every real target, from index arrays and positions alone."""
    rows = range(len(batch.tokens_RT))
    P = batch.prefix_index_RP.shape[1]
    _, K, L = batch.branch_index_RKL.shape
    for r in rows:
        tokens = batch.tokens_RT[r]
        prefix = batch.prefix_index_RP[r][: batch.prefix_length_R[r]]
        for position, label, mask in zip(
            batch.target_position_RM[r], batch.target_label_RM[r], batch.target_mask_RM[r], strict=True
        ):
            if not mask:
                continue
            slot = batch.grid_index_RT[r][position]
            if slot < P:
                stream = prefix[: slot + 1]
            else:
                k, offset = divmod(slot - P, L)
                assert k < K
                assert offset < batch.branch_length_RK[r, k]
                stream = np.concatenate([prefix, batch.branch_index_RKL[r, k][: offset + 1]])
            assert list(batch.positions_RT[r][stream]) == list(range(len(stream)))
            yield tuple(int(t) for t in tokens[stream]), int(label)


def test_an_empty_context_is_predicted_by_the_last_schema_token():
    tree = token_tree([5, 6, 7], [([], [11, 2]), ([], [12, 2])])
    step = make_plan([tree], PlanOptions(rows=1, branches=2), epochs=1).steps[0]
    batch = pack_step([tree], step)
    real = batch.target_mask_RM[0] == 1
    pairs = list(zip(batch.target_position_RM[0][real], batch.target_label_RM[0][real], strict=True))
    assert sorted(label for position, label in pairs if position == 2) == [11, 12]


def test_a_filler_row_has_no_targets():
    tree = token_tree([5, 6, 7], [([8], [11, 2])])
    step = make_plan([tree], PlanOptions(rows=3, branches=2), epochs=1).steps[0]
    batch = pack_step([tree], step)
    assert batch.target_mask_RM.sum() == 2
    assert sorted(batch.target_mask_RM.sum(axis=1)) == [0, 0, 2]


def test_a_process_packs_its_slice_of_the_same_rows():
    trees = [token_tree([5] * n, [([8] * k, [11, 2]) for k in range(20)]) for n in (9, 17)]
    step = make_plan(trees, PlanOptions(rows=4, branches=4), epochs=1).steps[0]
    whole = pack_step(trees, step)
    halves = [pack_step(trees, step, slice(0, 2)), pack_step(trees, step, slice(2, 4))]
    for array, first, second in zip(whole, *halves, strict=True):
        np.testing.assert_array_equal(array, np.concatenate([first, second]))
