"""Shares of corpora: by size, weight and temperature; what is replayed; the plan holds what the table says."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.data import PlanOptions, make_plan, token_tree
from kcx_jax.errors import UsageError
from kcx_jax.training.config import parse_config
from kcx_jax.training.mixture import Source, epoch_table, mix


def source(name: str, samples: int, weight: float = 1.0) -> Source:
    """A corpus of so many samples in two trees."""
    trees = [token_tree([5] * 9, [([8], [11, 2])] * n) for n in (samples // 2, samples - samples // 2)]
    return Source(name, tuple(trees), weight)


def test_by_default_an_epoch_has_every_sample_once():
    for size in range(2, 60):
        mixed = mix([source("a", 49), source("b", 7), source("c", size)], temperature=1)
        assert [tree.passes for each in mixed for tree in each.trees] == [1] * 6


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 300), min_size=1, max_size=4),
    temperature=st.floats(1, 50),
    replay=st.floats(0, 0.9),
)
def test_shares_follow_size_weight_and_temperature(sizes, temperature, replay):
    own = [source(str(i), n, weight=i + 1) for i, n in enumerate(sizes)]
    earlier = [source("c", 30), source("d", 10)]
    mixed = mix(own, temperature, earlier, replay)
    held = [each.drawn for each in mixed]
    own_held, replayed = held[: len(own)], held[len(own) :]
    assert sum(own_held) == pytest.approx(sum(sizes))
    for i, n in enumerate(sizes):
        wanted = (i + 1) * n ** (1 / temperature) / sizes[0] ** (1 / temperature)
        assert own_held[i] / own_held[0] == pytest.approx(wanted)
    assert sum(replayed) / sum(held) == pytest.approx(replay, abs=5e-9)  # passes have nine digits
    if replay:
        assert replayed[0] == pytest.approx(3 * replayed[1])


def test_the_plan_holds_what_the_table_says():
    mixed = mix([source("big", 640), source("small", 64)], temperature=2)
    trees = [tree for each in mixed for tree in each.trees]
    plan = make_plan(trees, PlanOptions(rows=4, branches=8, shapes=1), epochs=4)
    held = Counter()
    for step in plan.steps:
        for row in step.rows:
            held["big" if row.tree < 2 else "small"] += row.counted * len(row.branches)
    for each, line in zip(mixed, epoch_table(mixed), strict=True):
        assert held[each.name] == pytest.approx(4 * each.drawn, abs=16)
        assert f"{each.drawn:,.1f} an epoch" in line
    assert mixed[0].drawn / mixed[1].drawn == pytest.approx(10**0.5)


def test_nothing_comes_before_the_first_stage():
    data = [{"path": "a.jsonl", "schema": "s.py"}]
    stages = [{"kind": "extract", "data": data, "replay": 0.1}, {"kind": "extract", "data": data}]
    with pytest.raises(UsageError, match="nothing to replay"):
        parse_config({"model": "m", "run_dir": "r", "stages": stages})
    parse_config({"model": "m", "run_dir": "r", "stages": stages[::-1]})
