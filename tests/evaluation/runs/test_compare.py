"""Two runs compared: what is worse is said to be, and chance is not."""

import json

import pytest

from kcx_jax.corpora import Mention, Record, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.runs import EvaluateConfig, compare_runs, evaluate
from kcx_jax.evaluation.runs.compare import comparison_notes, comparison_sheet, lost_cells

GOLD = [Record(str(n), "en", "Ada met Bob", (Mention("e0", "Person", 0, 3, "Ada"),)) for n in range(60)]


def ran(folder, name, benchmarks=1, wrong=0, **systems):
    """A run of systems, each right but for its first so many records."""
    root = folder / name
    root.mkdir()
    entries = []
    for b in range(benchmarks):
        write_records(GOLD, folder / f"gold{b}.jsonl", overwrite=True)
        entries.append({"name": f"b{b}", "path": str(folder / f"gold{b}.jsonl"), "tasks": ["ner"]})
        for system, errors in systems.items():
            rows = (
                {"id": r.id, "output": "person: Bob" if int(r.id) < errors else "person: Ada"} for r in GOLD
            )
            path = root / f"{system}-b{b}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    listed = [
        {
            "kind": "outputs",
            "name": name,
            "path": str(root / f"{name}-{{benchmark}}.jsonl"),
            "format": "b2ner",
        }
        for name in systems
    ]
    values = {"results": str(root / "run"), "samples": 200, "benchmarks": entries, "systems": listed}
    return evaluate(EvaluateConfig.model_validate(values)).folder


def test_a_worse_run_is_worse_and_a_better_or_equal_one_is_not(tmp_path):
    good, bad = ran(tmp_path, "good", s=2), ran(tmp_path, "bad", s=20)
    (row,) = compare_runs(good, bad)
    assert row.worse
    assert row.difference.interval_95[1] < 0
    assert (row.before, row.after) == (pytest.approx(58 / 60), pytest.approx(40 / 60))
    assert not compare_runs(bad, good)[0].worse
    assert [r.difference.observed for r in compare_runs(good, good)] == [0.0]


def test_one_record_less_is_no_regression(tmp_path):
    assert not compare_runs(ran(tmp_path, "a", s=2), ran(tmp_path, "b", s=3))[0].worse


def test_of_many_rows_those_that_chance_could_make_are_not_worse(tmp_path):
    """Five records worse: p is 2**-5, enough for one row alone, and not once thirty could each have been it."""
    alone = compare_runs(ran(tmp_path, "a", s=10), ran(tmp_path, "b", s=15))[0]
    many = compare_runs(ran(tmp_path, "c", 30, s=10), ran(tmp_path, "d", 30, s=15))
    assert alone.worse
    assert len(many) == 30
    assert max(row.difference.p_worse for row in many) < 0.05
    assert not any(row.worse for row in many)


def test_a_single_record_shows_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "GOLD", GOLD[:1])
    (row,) = compare_runs(ran(tmp_path, "a", s=0), ran(tmp_path, "b", s=1))
    assert (row.before, row.after, row.difference.p_worse, row.worse) == (1.0, 0.0, 0.5, False)


def test_the_mode_that_counts_is_shown_and_another_one_of_b_is_told(tmp_path):
    one, other = ran(tmp_path, "a", s=2), ran(tmp_path, "b", s=3)
    rows = compare_runs(one, other)
    (sheet,) = [comparison_sheet(rows)]
    assert dict(zip(sheet.head, sheet.rows[0], strict=True))["mode"] == "strict"
    assert comparison_notes(rows) == []
    config = other / "config.yaml"
    config.write_text(config.read_text().replace("mode: strict", "mode: text"))
    (note,) = comparison_notes(compare_runs(one, other))
    assert note == "b0: both are counted in A's mode, strict; B's own table has it in mode text"
    assert compare_runs(one, other)[0].to_json()["mode_after"] == "text"


def test_systems_within_one_folder(tmp_path):
    folder = ran(tmp_path, "both", one=2, other=20)
    (row,) = compare_runs(folder / "systems" / "one", folder / "systems" / "other")
    assert (row.system, row.worse) == ("one -> other", True)


def test_a_run_without_any_answers_has_lost_them_all(tmp_path):
    folder, other = ran(tmp_path, "a", 2, s=2), ran(tmp_path, "b", 2, s=2)
    for path in other.glob("systems/s/*/ner.records.jsonl"):
        path.unlink()
    assert compare_runs(folder, other) == []
    assert lost_cells(folder, other) == [("s", "b0", "ner"), ("s", "b1", "ner")]


def test_what_cannot_be_compared_is_said(tmp_path):
    folder = ran(tmp_path, "a", s=2)
    with pytest.raises(UsageError, match="no results folder"):
        compare_runs(folder, tmp_path)
    with pytest.raises(UsageError, match="has no system 'x'"):
        compare_runs(folder, folder / "systems" / "x")
    with pytest.raises(KcxError, match="nothing to compare"):
        compare_runs(folder, ran(tmp_path, "b", t=2))
    other = ran(tmp_path, "c", s=2)
    write_records(GOLD[:59], other / "gold" / "b0.jsonl", overwrite=True)
    with pytest.raises(KcxError, match="different gold records"):
        compare_runs(folder, other)
