"""The row plan: every sample once an epoch, few shapes that hold what they are given, balanced shards."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.data import PlanOptions, TokenTree, arrange, make_plan, token_tree
from kcx_jax.data.plan import _fitted
from kcx_jax.data.rows import Rows
from kcx_jax.data.shapes import Shape, choose_shapes
from kcx_jax.data.sizes import Sizes
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


def needed(tree: TokenTree, branches) -> Shape:
    """The smallest shape that holds a row of these branches."""
    picked = [tree.branches[i] for i in branches]
    inputs = [len(b.context) + len(b.answer) - 1 for b in picked]
    return Shape(
        len(tree.prefix),
        len(picked),
        max(inputs),
        len(tree.prefix) + sum(inputs),
        sum(len(b.answer) for b in picked),
    )


packings = st.sampled_from(["tree", "plain"])
sizes = st.lists(st.tuples(st.integers(1, 700), st.integers(0, 60)), min_size=1, max_size=4).filter(
    lambda trees: any(branches for _, branches in trees)
)


@settings(max_examples=25, deadline=None)
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
            assert step.shape.holds(needed(trees[row.tree], row.branches))
            assert len(row.branches) <= branches
        counted = [row for row in step.rows if row.counted]
        own = [(needed(trees[row.tree], row.branches), row) for row in counted]
        assert step.samples == sum(len(row.branches) for row in counted)
        assert step.targets == sum(need.targets for need, _ in own)
        assert step.tokens == sum(need.stream for need, _ in own)
        repeated = sum((len(row.branches) - 1) * need.prefix for need, row in own)
        assert step.unshared_tokens == step.tokens + repeated


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


@pytest.mark.parametrize("branches", [4, 16])
@pytest.mark.parametrize("samples", [(800, 600, 400), (110,)])
def test_few_shapes_and_little_padding(branches, samples):
    trees = random_trees(1, list(zip((300, 330, 420), samples, strict=False)))
    plan = make_plan(trees, PlanOptions(rows=4, branches=branches, shapes=4), epochs=3)
    assert len({step.shape for step in plan.steps}) <= 4
    assert plan.padding < 0.05
    one_by_one = sum(len(t.prefix) + b.inputs for t in trees for b in t.branches)
    assert plan.total("unshared_tokens") == 3 * one_by_one
    assert plan.total("samples") == 3 * sum(samples)


def test_joined_shapes_hold_all():
    rng = np.random.default_rng(2)
    needs = [Shape(*(int(n) for n in rng.integers(1, 100, 5))) for _ in range(30)]
    chosen = choose_shapes(needs, 4, 1)
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


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), sizes=sizes, row_tokens=st.integers(1, 3000))
def test_plain_rows_are_whole_samples_filled_to_a_length(seed, sizes, row_tokens):
    trees = random_trees(seed, sizes)
    (packed,) = arrange(trees, "plain")
    texts = [[*tree.prefix, *b.context, *b.answer] for tree in trees for b in tree.branches]
    assert [[*b.context, *b.answer] for b in packed.branches] == texts
    plan = make_plan([packed], PlanOptions(rows=3, row_tokens=row_tokens, seed=seed), epochs=1)
    rows = [row for step in plan.steps for row in step.rows if row.counted]
    assert sorted(branch for row in rows for branch in row.branches) == list(range(len(texts)))
    for row in rows:
        tokens = sum(packed.branches[i].inputs for i in row.branches)
        assert tokens <= max(row_tokens, max(b.inputs for b in packed.branches))


def test_plain_rows_are_nearly_full():
    plan = make_plan(
        arrange(random_trees(1, [(300, 400), (700, 100)]), "plain"), PlanOptions(row_tokens=4096), epochs=2
    )
    assert plan.saving == 0
    assert plan.padding < 0.05
    assert plan.total("tokens") / (4096 * 4 * len(plan.steps)) > 0.9


def test_a_row_that_no_shape_holds_is_halved():
    """Later epochs add no shape, whatever their shuffle brings together."""
    tree = token_tree([7] * 9, [([8] * length, [9]) for length in (5, 1, 1, 40, 3)])
    sizes = Sizes.of([tree])
    shapes = (Shape(9, 4, 5, 9 + 8, 4), Shape(*sizes.any_branch()[0].tolist()))
    rows = Rows.of([(0, np.array([3, 0, 1, 2, 3, 4]), np.array([1, 5]))])
    fitted, needs, numbers = _fitted(rows, shapes, sizes)
    cut = [fitted.row(index).branches for index in range(len(fitted))]
    assert cut == [(3,), (0, 1), (2,), (3,), (4,)]
    for branches, need, number in zip(cut, needs.tolist(), numbers, strict=True):
        assert needed(tree, branches) == Shape(*need)
        assert shapes[number].holds(Shape(*need))


@pytest.mark.parametrize(("rows", "least", "expected"), [(8, 5, 5), (4, 3, 3), (4, 16, 4), (12, 16, 10)])
def test_steps_mix_schemas_as_far_as_rows_and_data_allow(rows, least, expected):
    trees = random_trees(3, [(300, 120), *[(300, 40)] * 9])
    plan = make_plan(trees, PlanOptions(rows, branches=4, shapes=1, min_schemas=least), epochs=2)
    mixes = [len({row.tree for row in step.rows if row.counted}) for step in plan.steps]
    assert min(mixes) >= expected


def test_a_small_schema_comes_all_over_the_epoch():
    trees = random_trees(4, [(300, 1600), (300, 80)])
    plan = make_plan(trees, PlanOptions(rows=4, branches=4, shapes=1, min_schemas=1), epochs=1)
    with_small = sum(any(row.tree == 1 for row in step.rows) for step in plan.steps)
    assert with_small >= 19  # of 20 rows, hardly two in one step


def test_a_single_schema_needs_no_other():
    (tree,) = random_trees(4, [(300, 64)])
    assert len(make_plan([tree], PlanOptions(rows=4, branches=4), epochs=1).steps) == 4


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), passes=st.sampled_from([0.25, 0.3, 1.0, 1.75, 2.5]), packing=packings)
def test_an_epoch_has_each_tree_as_often_as_it_says(seed, passes, packing):
    """Within a row or two, and no sample is seen again before all were."""
    one, two = random_trees(seed, [(90, 100), (50, 60)])
    trees = arrange([one, replace(two, passes=passes)], packing)
    options = PlanOptions(2, 4, 2, seed, row_tokens=400 if packing == "plain" else None)
    plan = make_plan(trees, options, epochs=4)
    rows = [row for step in plan.steps for row in step.rows if row.counted]
    rare = [i for i, tree in enumerate(trees) if tree.passes == passes and len(tree.branches) != 100]
    seen = Counter((row.tree, branch) for row in rows if row.tree in rare for branch in row.branches)
    number = sum(len(trees[i].branches) for i in rare)
    often = [seen[i, branch] for i in rare for branch in range(len(trees[i].branches))]
    assert sum(often) == pytest.approx(4 * passes * number, abs=16)
    assert max(often) - min(often) <= 1
