"""``kcx evaluate`` and ``kcx data sample`` from the command line."""

import json
import shutil

import pytest
import yaml

from kcx_jax.corpora import Mention, Record, read_records, write_records

GOLD = [Record(str(n), "en", "Ada met Bob", (Mention("e0", "Person", 0, 3, "Ada"),)) for n in range(40)]


@pytest.fixture
def config(tmp_path):
    """Call with how many of the answers are wrong for the path of a config."""
    write_records(GOLD, tmp_path / "gold.jsonl")

    def make(name, wrong):
        rows = ({"id": r.id, "output": "person: Bob" if int(r.id) < wrong else "person: Ada"} for r in GOLD)
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        values = {
            "title": "A test",
            "results": str(tmp_path / name),
            "samples": 100,
            "benchmarks": [{"name": "gold", "path": str(tmp_path / "gold.jsonl")}],
            "systems": [
                {"kind": "outputs", "name": "s", "path": str(tmp_path / f"{name}.jsonl"), "format": "b2ner"}
            ],
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return make


def test_the_table_is_printed_and_written(kcx, config, tmp_path):
    code, out, err = kcx("evaluate", config("a", 10))
    assert code == 0, err
    assert "| gold | ner | strict | 75.00 (" in out
    assert out == (tmp_path / "a" / "table.md").read_text()
    assert "answered 40 questions" in err
    code, again, _ = kcx("evaluate", tmp_path / "a.yaml")
    assert (code, again) == (0, out)


def test_a_regression_has_its_exit_code(kcx, config, tmp_path):
    for name, wrong in (("a", 1), ("b", 15)):
        assert kcx("evaluate", config(name, wrong))[0] == 0
    report = tmp_path / "report.json"
    code, _, err = kcx("evaluate", "--compare", tmp_path / "a", tmp_path / "b", "--json", report)
    assert code == 4
    assert "1 of 1 rows are significantly worse in B: s on gold (ner)" in err
    assert json.loads(report.read_text())[0]["worse"]
    assert kcx("evaluate", "--compare", tmp_path / "b", tmp_path / "a")[0] == 0
    code, _, err = kcx("evaluate", "--compare", tmp_path / "a", tmp_path / "b", "--json", report)
    assert (code, err) == (1, f"kcx: {report} exists already. Choose another --json.\n")


def test_answers_that_only_the_first_has_do_not_pass(kcx, config, tmp_path):
    paths = [config(name, 0) for name in ("a", "b")]
    for path in paths:
        values = yaml.safe_load(path.read_text())
        values["systems"].append(values["systems"][0] | {"name": "t"})
        path.write_text(yaml.safe_dump(values))
        assert kcx("evaluate", path)[0] == 0
    shutil.rmtree(tmp_path / "b" / "systems" / "t")
    report = tmp_path / "report.json"
    code, out, err = kcx("evaluate", "--compare", tmp_path / "a", tmp_path / "b", "--json", report)
    assert code == 4
    assert "only in A: t on gold (ner)" in out
    assert "no answers to 1 of the 2 cells of A" in err
    assert [row["worse"] for row in json.loads(report.read_text())] == [False, True]
    assert kcx("evaluate", "--compare", tmp_path / "b", tmp_path / "a")[0] == 0  # more is no regression


@pytest.mark.parametrize("wrong", [["--set", "seed=3"], ["--shard", "0/2"], ["--data", "x"]])
def test_options_that_do_not_go_together_are_refused(kcx, config, tmp_path, wrong):
    path = config("a", 0)
    assert kcx("evaluate", path, "--json", tmp_path / "x.json")[0] == 2
    assert kcx("evaluate", "--compare", tmp_path / "a", tmp_path / "a", *wrong)[0] == 2
    assert kcx("evaluate", "--report", tmp_path / "a", *wrong)[0] == 2


def test_cells_that_are_not_run_end_with_a_failure_after_the_table(kcx, config, tmp_path):
    path = config("a", 0)
    (tmp_path / "a.jsonl").unlink()
    code, out, err = kcx("evaluate", path)
    assert code == 1
    assert "| not run |" in out
    assert "1 cells were not run" in err


def test_calls_that_cannot_be(kcx, config, tmp_path):
    assert kcx("evaluate")[0] == 2
    assert kcx("evaluate", config("a", 0), "--compare", tmp_path, tmp_path)[0] == 2
    assert "did you mean 'benchmarks'?" in kcx("evaluate", tmp_path / "a.yaml", "--set", "benchmarcks=[]")[2]
    code, _, err = kcx("evaluate", tmp_path / "a.yaml", "--shard", "2/2")
    assert (code, "--shard is '2/2'" in err) == (2, True)


def test_the_report_is_written_and_again_from_the_folder_alone(kcx, config, tmp_path):
    code, _, err = kcx("evaluate", config("a", 10))
    page = tmp_path / "a" / "report.html"
    assert (code, f"report: {page}" in err) == (0, True)
    before = page.read_text(encoding="utf-8")
    for name in ("gold.jsonl", "a.jsonl", "a.yaml"):
        (tmp_path / name).unlink()
    page.unlink()
    code, _, err = kcx("evaluate", "--report", tmp_path / "a")
    assert (code, f"wrote {page}" in err) == (0, True)
    assert page.read_text(encoding="utf-8") == before
    assert kcx("evaluate", "--report", tmp_path)[0] == 1
    assert kcx("evaluate", "--report", tmp_path, "--compare", tmp_path, tmp_path)[0] == 2


def test_a_sample_of_a_file(kcx, config, tmp_path):
    config("a", 0)
    small, large = tmp_path / "small.jsonl", tmp_path / "large.jsonl"
    assert (
        kcx("data", "sample", tmp_path / "gold.jsonl", "--output", small, "--share", "0.1", "--seed", "4")[0]
        == 0
    )
    code, _, err = kcx(
        "data", "sample", tmp_path / "gold.jsonl", "--output", large, "--count", "20", "--seed", "4"
    )
    assert (code, "wrote 20 records" in err) == (0, True)
    ids = [{record.id for record in read_records(path, "jsonl")} for path in (small, large)]
    assert len(ids[0]) == 4
    assert ids[0] < ids[1]
    code, _, err = kcx("data", "sample", tmp_path / "gold.jsonl", "--output", tmp_path / "x.jsonl")
    assert (code, "give one of them" in err) == (2, True)
