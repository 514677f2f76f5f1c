"""Who is best, and by how much: means, intervals, ranks, and counts by language and type."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import read_records
from kcx_jax.evaluation.runs.report.loaded import LoadedRun
from kcx_jax.evaluation.runs.report.pooled import pooled
from kcx_jax.evaluation.runs.report.standings import standings
from kcx_jax.scoring import Counts, score

from .conftest import SYSTEMS

shares = st.tuples(*[st.floats(0, 1)] * 3).map(sorted)


def run_of(run: LoadedRun, **systems):
    """The run with these cells: a list a system, of (low, F1, high) a benchmark, or None where it is not run."""
    count = len(next(iter(systems.values())))
    rows = [
        {"benchmark": str(n), "task": "ner", "mode": "strict", "records": 1, "measured": {}}
        for n in range(count)
    ]
    for system, cells in systems.items():
        for row, cell in zip(rows, cells, strict=True):
            found = (
                {"not_run": "no"} if cell is None else {"f1": cell[1], "f1_interval_95": cell[::2], "gold": 1}
            )
            row["measured"][system] = found
    first = run.config.benchmarks[0]
    benchmarks = tuple(first.model_copy(update={"name": str(n), "tasks": ("ner",)}) for n in range(count))
    config = run.config.model_copy(update={"benchmarks": benchmarks})
    return replace(run, config=config, table={"systems": list(systems), "rows": rows})


def test_one_benchmark_keeps_its_own_interval(run):
    (one,) = standings(run_of(run, a=[(0.2, 0.5, 0.6)]))["ner"]
    assert one.f1 == 0.5
    assert one.interval == pytest.approx((0.2, 0.6))
    assert one.ranked


def test_the_interval_of_a_mean_is_worked_out_by_hand(run):
    (one,) = standings(run_of(run, a=[(0.2, 0.5, 0.6), (0.4, 0.8, 0.8)]))["ner"]
    assert one.f1 == pytest.approx(0.65)
    assert one.interval == pytest.approx((0.65 - 0.25, 0.65 + 0.05))  # (0.3, 0.4) -> 0.5 / 2


@given(cells=st.lists(shares, min_size=1, max_size=6))
def test_an_interval_holds_its_mean_and_is_no_wider_than_the_mean_of_intervals(run, cells):
    (one,) = standings(run_of(run, a=cells))["ner"]
    low, high = one.interval
    assert low <= one.f1 <= high
    assert high - low <= sum(cell[2] - cell[0] for cell in cells) / len(cells) + 1e-9
    assert min(cell[0] for cell in cells) - 1e-9 <= low


def test_the_best_comes_first_and_who_lacks_a_benchmark_has_no_rank(run):
    best, good, half, none = (0.9,) * 3, (0.5,) * 3, (1.0,) * 3, None
    found = standings(
        run_of(run, half=[half, none], good=[good, good], none=[none, none], best=[best, best])
    )["ner"]
    assert [one.system for one in found] == ["best", "good", "half", "none"]
    assert [one.ranked for one in found] == [True, True, False, False]
    assert [(one.run, one.of) for one in found] == [(2, 2), (2, 2), (1, 2), (0, 2)]
    assert found[-1].f1 is None


def test_a_benchmark_that_nobody_has_run_leaves_all_without_a_rank(run):
    some = (0.5,) * 3
    found = standings(run_of(run, a=[some, None], b=[some, None]))["ner"]
    assert [(one.ranked, one.run, one.of) for one in found] == [(False, 1, 2)] * 2
    assert standings(run_of(run, a=[None], b=[None])) == {}


def test_the_leaderboard_of_a_real_run_says_what_its_table_says(run):
    for task, each in standings(run).items():
        rows = [row for row in run.rows if row["task"] == task]
        for one in each:
            figures = [row["measured"][one.system]["f1"] for row in rows]
            assert one.f1 == pytest.approx(sum(figures) / len(figures))
        assert each[0].system == "gold"
        assert each[0].f1 > each[1].f1


@pytest.mark.parametrize("part", ["per_language", "per_type"])
def test_pooled_counts_are_those_of_all_records_at_once(run, part):
    """The oracle scores the records of all benchmarks together."""
    found = pooled(run, part)
    for task in ("ner", "re", "ed", "eae"):
        for system in SYSTEMS:
            gold, given = [], []
            for benchmark in run.config.benchmarks:
                if task not in benchmark.tasks:
                    continue
                for record in read_records(run.results.gold(benchmark.name), "jsonl"):
                    gold.append(replace(record, id=f"{benchmark.name} {record.id}"))
                for record in read_records(run.results.records(system, benchmark.name, task), "jsonl"):
                    given.append(replace(record, id=f"{benchmark.name} {record.id}"))
            unit = score(gold, given, [task]).units[task]
            ours = {
                label: systems[system]
                for label, systems in found[task].items()
                if systems[system] != Counts()
            }
            assert ours == getattr(unit, part)
        totals = [max(c.tp + c.fn for c in systems.values()) for systems in found[task].values()]
        assert totals == sorted(totals, reverse=True)
