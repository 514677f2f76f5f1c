"""The row plan: every sample once an epoch, few shapes that hold what they are given, balanced shards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.data import PlanOptions, TokenTree, make_plan, token_tree
from kcx_jax.data.plan import Shape, _choose_shapes
from kcx_jax.errors import KcxError


def random_trees(seed: int, sizes: list[tuple[int, int]]) -> list[TokenTree]:
    """Trees of (prefix length, number of branches) with random branches; ids do not matter here."""
    rng = np.random.default_rng(seed)
    return [
        token_tree(
            [7] * prefix, [([8] * rng.integers(0, 50), [9] * rng.integers(1, 30)) for _ in range(number)]
        )
        for prefix, number in sizes
    ]


sizes = st.lists(st.tuples(st.integers(1, 700), st.integers(0, 60)), min_size=1, max_size=4).filter(
    lambda trees: any(branches for _, branches in trees)
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), sizes=sizes, rows=st.integers(1, 5), branches=st.integers(1, 16))
def test_every_sample_once_an_epoch_in_a_shape_that_holds_it(seed, sizes, rows, branches):
    trees = random_trees(seed, sizes)
    plan = make_plan(trees, PlanOptions(rows, branches, shapes=3, seed=seed), epochs=2)
    start = 0
    for end in plan.epoch_ends:
        counted = [row for step in plan.steps[start:end] for row in step.rows if row.counted]
        seen = sorted((row.tree, branch) for row in counted for branch in row.branches)
        assert seen == [(t, b) for t, tree in enumerate(trees) for b in range(len(tree.branches))]
        start = end
    for step in plan.steps:
        assert len(step.rows) == rows
        for row in step.rows:
            tree = trees[row.tree]
            picked = [tree.branches[i] for i in row.branches]
            needed = Shape(
                len(tree.prefix),
                len(picked),
                max(b.inputs for b in picked),
                len(tree.prefix) + sum(b.inputs for b in picked),
                sum(len(b.answer) for b in picked),
            )
            assert step.shape.holds(needed)
            assert len(picked) <= branches


def test_the_plan_is_a_function_of_data_and_seed():
    trees = random_trees(0, [(300, 100), (400, 70)])
    assert make_plan(trees, PlanOptions(seed=3), epochs=2) == make_plan(trees, PlanOptions(seed=3), epochs=2)
    assert make_plan(trees, PlanOptions(seed=3), epochs=1) != make_plan(trees, PlanOptions(seed=4), epochs=1)
    plan = make_plan(trees, PlanOptions(seed=3), epochs=2)
    assert plan.steps[: plan.epoch_ends[0]] != plan.steps[plan.epoch_ends[0] :]
    # A longer run starts with the steps of a shorter one.
    assert make_plan(trees, PlanOptions(seed=3), steps=5).steps == plan.steps[:5]


def test_steps_repeat_epochs_as_needed():
    trees = random_trees(0, [(30, 20)])
    plan = make_plan(trees, PlanOptions(rows=2, branches=4, shapes=1), steps=11)
    assert len(plan.steps) == 11
    assert plan.epoch_ends == (3, 6, 9)


def test_few_shapes_and_little_padding():
    trees = random_trees(1, [(300, 800), (330, 600), (420, 400)])
    plan = make_plan(trees, PlanOptions(rows=2, branches=16, shapes=4), epochs=3)
    assert len({step.shape for step in plan.steps}) <= 6  # later epochs may add one or two
    assert plan.padding < 0.1
    one_by_one = sum(len(t.prefix) + b.inputs for t in trees for b in t.branches)
    assert plan.total("unshared_tokens") == 3 * one_by_one
    assert plan.total("samples") == 3 * 1800


def test_joined_shapes_hold_all():
    rng = np.random.default_rng(2)
    needs = [Shape(*(int(n) for n in rng.integers(1, 100, 5))) for _ in range(30)]
    chosen = _choose_shapes(needs, 4)
    assert len(chosen) == 4
    assert all(any(shape.holds(need) for shape in chosen) for need in needs)


def test_contiguous_shards_have_nearly_equal_targets():
    trees = random_trees(5, [(50, 640)])
    plan = make_plan(trees, PlanOptions(rows=8, branches=16, shapes=1), epochs=1)
    full = [step for step in plan.steps if all(row.counted for row in step.rows)]
    assert full
    for step in full:
        counts = [sum(len(trees[r.tree].branches[i].answer) for i in r.branches) for r in step.rows]
        halves = sum(counts[:4]), sum(counts[4:])
        assert max(halves) / min(halves) < 1.15


def test_nothing_to_train_on_is_named():
    with pytest.raises(KcxError, match="no samples"):
        make_plan([token_tree([1, 2], [])], PlanOptions(), epochs=1)
