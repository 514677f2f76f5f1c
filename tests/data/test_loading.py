"""Grain serves the plan in order, from any position, to any number of processes."""

import numpy as np
import pytest

from kcx_jax.data import PlanOptions, batch_iterator, make_plan, token_tree
from kcx_jax.errors import UsageError

TREES = [token_tree([5] * n, [([8] * k, [11, k, 2]) for k in range(30)]) for n in (9, 17)]
PLAN = make_plan(TREES, PlanOptions(rows=4, branches=4), epochs=2)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_goes_on_from_a_saved_state():
    iterator = batch_iterator(TREES, PLAN)
    for _ in range(3):
        next(iterator)
    state = iterator.get_state()
    rest = list(iterator)
    again = batch_iterator(TREES, PLAN)
    again.set_state(state)
    resumed = list(again)
    assert len(rest) == len(resumed) == len(PLAN.steps) - 3
    assert all(map(same, rest, resumed))


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_see_what_one_sees(processes):
    parts = [batch_iterator(TREES, PLAN, index, processes) for index in range(processes)]
    for whole, *slices in zip(batch_iterator(TREES, PLAN), *parts, strict=True):
        assert same(whole, [np.concatenate(arrays) for arrays in zip(*slices, strict=True)])


def test_rows_that_do_not_divide_are_refused():
    with pytest.raises(UsageError, match="4 rows a step do not divide among 3 processes"):
        batch_iterator(TREES, PLAN, 0, 3)
