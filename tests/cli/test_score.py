"""``kcx score``."""

import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from kcx_jax.cli import score
from kcx_jax.corpora import Mention, Record, RelationLink, read_records, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.scoring import STRICT


@pytest.fixture
def files(tmp_path):
    ada, rome = Mention("e0", "Person", 0, 3, "Ada"), Mention("e1", "City", 7, 11, "Rome")
    gold = [Record(str(i), "en", "Ada in Rome", (ada, rome)) for i in range(4)]
    lost = {"unresolved": [{"task": "ner", "type": "Person", "text": "Eve"}]}
    broken = {"parse_problems": [{"task": "ner", "kind": "truncated", "detail": "", "position": 0}]}
    predicted = [
        gold[0],
        Record("1", "en", "Ada in Rome", (ada,), meta=lost),
        Record("2", "en", "Ada in Rome", (rome,), meta=broken),
    ]
    write_records(gold, tmp_path / "gold.jsonl")
    write_records(predicted, tmp_path / "predicted.jsonl")
    return tmp_path


def kcx(*arguments):
    app = typer.Typer()
    app.command()(score.command)
    outcome = CliRunner(env={"COLUMNS": "20"}).invoke(
        app, list(map(str, arguments))
    )  # what is no terminal has no end
    if isinstance(outcome.exception, KcxError):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_the_table_has_the_figures_and_their_definitions(files):
    done = kcx("--gold", files / "gold.jsonl", "--predicted", files / "predicted.jsonl")
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line
    ]
    assert rows == [
        ["ner", "80.00", "50.00", "61.54", "61.54", "4", "1", "4"],
        ["ner", "City", "100.00", "50.00", "66.67", "66.67", "2", "0", "2"],
        ["ner", "Person", "66.67", "50.00", "57.14", "57.14", "2", "1", "2"],
        ["ner", "mean over types", "83.33", "50.00", "61.90", "61.90", "", "", ""],
        ["ner", "3", "33.33", "5", "0.00", "0.00", "20.00", "0.00"],
    ]
    assert "ner: entity: span and type" in done.stdout
    assert STRICT in " ".join(done.stdout.split())
    assert done.stderr.splitlines() == [
        "ner: 1 of 4 records have no prediction and count as empty: '3'",
        "ner: 1 answers could not be read to their end",
    ]


def test_json_holds_everything_and_is_not_overwritten_unasked(files):
    call = (
        "--gold",
        files / "gold.jsonl",
        "--predicted",
        files / "predicted.jsonl",
        "--json",
        files / "s.json",
    )
    kcx(*call)
    value = json.loads((files / "s.json").read_text())
    assert (value["units"]["ner"]["tp"], value["missing"]["ner"], value["flagged"]["ner"]) == (4, ["3"], 1)
    with pytest.raises(KcxError, match="exists already"):
        kcx(*call)
    kcx(*call, "--overwrite")


def test_text_stands_beside_strict(files):
    call = ("--gold", files / "gold.jsonl", "--predicted", files / "predicted.jsonl")
    for format in ("table", "markdown", "latex"):
        assert kcx(*call, "--format", format).stdout.count("text F1") == 2
        assert "text F1" not in kcx(*call, "--format", format, "--mode", "text").stdout


def test_two_systems_are_compared(files):
    call = ("--gold", files / "gold.jsonl", "--predicted", files / "predicted.jsonl", "--samples", 50)
    same = kcx(*call, "--against", files / "predicted.jsonl", "--json", files / "s.json").stdout
    assert [cell.strip() for cell in same.splitlines()[3].split("│")][7:9] == ["61.54", "1.0000"]
    found = json.loads((files / "s.json").read_text())["resampling"]["ner"]
    low, high = found["f1_interval_95"]
    assert 0 <= low < 8 / 13 < high <= 1
    assert (found["f1_against"], found["p_value"]) == (8 / 13, 1.0)


@pytest.mark.parametrize(("format", "row"), [("markdown", "| ner | 80.00 |"), ("latex", "ner & 80.00 &")])
def test_other_tables(files, format, row):
    call = ("--gold", files / "gold.jsonl", "--predicted", files / "predicted.jsonl", "--format", format)
    assert row in kcx(*call).stdout


def test_what_is_wrong_is_said(files):
    gold = ("--gold", files / "gold.jsonl")
    with pytest.raises(UsageError, match="unknown mode 'soft'"):
        kcx(*gold, "--predicted", files / "predicted.jsonl", "--mode", "soft")
    with pytest.raises(UsageError, match="--against needs --samples"):
        kcx(*gold, "--predicted", files / "predicted.jsonl", "--against", files / "predicted.jsonl")
    with pytest.raises(KcxError, match=r"cannot read .*no\.jsonl"):
        kcx(*gold, "--predicted", files / "no.jsonl")
    with pytest.raises(UsageError, match="--gold is given 2 times, and --predicted 1 times"):
        kcx(*gold, *gold, "--predicted", files / "predicted.jsonl")
    both = (*gold, "--predicted", files / "predicted.jsonl") * 2
    with pytest.raises(UsageError, match=r"--gold .*gold\.jsonl is given twice"):
        kcx(*both)
    with pytest.raises(UsageError, match="--errors writes the items of one dataset"):
        kcx(*both, "--errors", files / "e.jsonl")


def test_datasets_are_scored_one_by_one_and_averaged(files):
    write_records(read_records(files / "gold.jsonl"), files / "same.jsonl")
    call = (
        "--gold",
        files / "gold.jsonl",
        "--gold",
        files / "same.jsonl",
        "--predicted",
        files / "predicted.jsonl",
    )
    done = kcx(*call, "--predicted", files / "same.jsonl", "--samples", 9, "--json", files / "s.json")
    value = json.loads((files / "s.json").read_text())
    assert value["mean"]["ner"] == {"precision": 0.9, "recall": 0.75, "f1": (8 / 13 + 1) / 2, "datasets": 2}
    assert value["text"]["mean"] == value["mean"]
    assert [each["units"]["ner"]["tp"] for each in value["datasets"].values()] == [4, 8]
    assert value["datasets"]["same"]["resampling"]["ner"]["f1_interval_95"] == [1.0, 1.0]
    assert "mean of 2" in done.stdout
    assert done.stderr.startswith("gold: ner: 1 of 4 records have no prediction")
    for format, row in (("markdown", "| ner | mean of 2 | 90.00 |"), ("latex", "ner & mean of 2 & 90.00 &")):
        assert row in kcx(*call, "--predicted", files / "same.jsonl", "--format", format).stdout


@pytest.mark.parametrize("records", [[], [Record("1", "en", "Ada in Rome")]])
def test_gold_without_annotation_is_refused_alone_and_told_beside_others(files, records):
    write_records(records, files / "empty.jsonl")
    empty = ("--gold", files / "empty.jsonl", "--predicted", files / "empty.jsonl")
    with pytest.raises(KcxError, match=r"^empty: no gold record is annotated, so there is nothing to score"):
        kcx(*empty, "--errors", files / "e.jsonl")
    assert not (files / "e.jsonl").exists()
    whole = ("--gold", files / "gold.jsonl", "--predicted", files / "gold.jsonl")
    done = kcx(*empty, *whole)
    assert done.stderr == "empty: no gold record is annotated; left out of the means\n"
    assert "mean of 1" in done.stdout


def test_records_found_by_looser_forms_are_wrong_unless_asked_for(files):
    (*rest, last) = read_records(files / "gold.jsonl")
    loose = {"loose": [{"task": "ner", "type": "City", "start": 7, "end": 11, "rung": "case"}]}
    write_records([*rest, replace(last, meta=loose)], files / "loose.jsonl")
    call = ("--gold", files / "gold.jsonl", "--predicted", files / "loose.jsonl")
    assert "| ner | 87.50 | 87.50 |" in kcx(*call, "--format", "markdown").stdout
    asked = kcx(*call, "--format", "markdown", "--ground", "ladder").stdout
    assert "| ner | 100.00 | 100.00 |" in asked
    assert asked.splitlines()[-4].endswith("| 12.50 |"), "the share of looser rungs"


def test_errors_are_written_by_sentence(files):
    call = (
        "--gold",
        files / "gold.jsonl",
        "--predicted",
        files / "predicted.jsonl",
        "--errors",
        files / "e.jsonl",
    )
    kcx(*call)
    rows = [json.loads(line) for line in (files / "e.jsonl").read_text().splitlines()]
    assert [(row["id"], row["counts"]) for row in rows] == [
        ("0", {"right": 2}),
        ("1", {"right": 1, "missed": 1, "hallucinated": 1}),
        ("2", {"right": 1, "missed": 1}),
        ("3", {"missed": 2}),
    ]
    assert rows[1]["errors"][1] == {
        "kind": "hallucinated",
        "predicted": {"type": "Person", "spans": [], "text": "Eve"},
    }
    with pytest.raises(KcxError, match="exists already"):
        kcx(*call)


def test_errors_are_those_of_the_task_that_is_asked_for(files):
    gold = [
        replace(each, relations=(RelationLink("In", "e0", "e1"),))
        for each in read_records(files / "gold.jsonl")
    ]
    write_records(gold, files / "both.jsonl")
    raw = files / "raw.jsonl"
    raw.write_text('{"id": "0", "output": {"in": [{"subject": "Ada", "object": "Rome"}]}}\n')
    call = ("--gold", files / "both.jsonl", "--predicted", raw, "--errors", files / "e.jsonl")
    kcx(*call, "--predicted-format", "oneke", "--task", "re")
    rows = [json.loads(line) for line in (files / "e.jsonl").read_text().splitlines()]
    assert [(row["task"], row["counts"]) for row in rows] == [
        ("re", {"right": 1}),
        *[("re", {"missed": 1})] * 3,
    ]


def test_rates_and_means_are_printed_and_in_the_json(files):
    call = (
        "--gold",
        files / "gold.jsonl",
        "--predicted",
        files / "predicted.jsonl",
        "--json",
        files / "s.json",
    )
    rows = kcx(*call, "--format", "markdown").stdout.splitlines()
    assert "| ner | 3 | 33.33 | 5 | 0.00 | 0.00 | 20.00 | 0.00 |" in rows
    assert "| ner | mean over types | 83.33 | 50.00 | 61.90 | 61.90 |  |  |  |" in rows
    assert json.loads((files / "s.json").read_text())["rates"]["ner"]["hallucinated_rate"] == 0.2


def test_raw_answers_stand_under_the_same_metric(files):
    raw = files / "raw.jsonl"
    raw.write_text(
        "".join(json.dumps({"output": "person: Ada; city: Rome; ship: Rome"}) + "\n" for _ in range(4))
    )
    call = ("--gold", files / "gold.jsonl", "--predicted", raw, "--json", files / "s.json")
    kcx(*call, "--predicted-format", "b2ner")
    unit = json.loads((files / "s.json").read_text())["units"]["ner"]
    assert (unit["tp"], unit["fp"], unit["fn"]) == (8, 4, 0)
    with pytest.raises(UsageError, match="unknown format of predictions 'b3'; known: records, iepile"):
        kcx(*call, "--predicted-format", "b3", "--overwrite")
    with pytest.raises(UsageError, match="--inventory is for raw answers"):
        kcx("--gold", files / "gold.jsonl", "--predicted", files / "predicted.jsonl", "--inventory", "uner")


def test_any_mode_has_intervals_and_a_paired_test(files):
    call = ("--gold", files / "gold.jsonl", "--predicted", files / "predicted.jsonl", "--samples", 20)
    for mode in ("multiconer", "iepile", "knowcoder"):
        done = kcx(*call, "--mode", mode, "--against", files / "gold.jsonl")
        assert "other F1 %" in done.stdout


def test_auto_names_labels_of_a_schema_that_have_no_name(tmp_path):
    gold = Record("1", "ru", "Ада здесь", (Mention("e0", "Sotrudnik", 0, 3, "Ада"),))
    write_records([gold], tmp_path / "gold.jsonl")
    (tmp_path / "answers.jsonl").write_text(
        '{"id": "1", "output": {"сотрудник": ["Ада"]}}\n', encoding="utf-8"
    )
    (tmp_path / "schema.yaml").write_text("[сотрудник]\n", encoding="utf-8")
    files = ["--gold", tmp_path / "gold.jsonl", "--predicted", tmp_path / "answers.jsonl"]
    asked = [*files, "--schema", tmp_path / "schema.yaml", "--json", tmp_path / "scores.json"]

    def f1():
        return json.loads((tmp_path / "scores.json").read_text())["units"]["ner"]["f1"]

    with pytest.raises(UsageError, match="--auto"):
        kcx(*asked)
    done = kcx(*asked, "--auto")
    assert "сотрудник: class Sotrudnik" in done.stderr
    assert f1() == 1.0
    # Without the schema, gold's class is the one that is named after the label's sounds.
    kcx(*files, "--json", tmp_path / "scores.json", "--overwrite")
    assert f1() == 1.0
