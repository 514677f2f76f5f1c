"""``kcx score``."""

import json

import pytest
import typer
from typer.testing import CliRunner

from kcx_jax.cli import score
from kcx_jax.corpora import Mention, Record, write_records
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
    outcome = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)))
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
        ["ner", "80.00", "50.00", "61.54", "4", "1", "4", "entity: span and type"],
        ["ner", "City", "100.00", "50.00", "66.67", "2", "0", "2"],
        ["ner", "Person", "66.67", "50.00", "57.14", "2", "1", "2"],
    ]
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
    assert "text mode, beside it: ner F1 61.54 %" in kcx(*call).stdout
    assert "beside it" not in kcx(*call, "--mode", "text").stdout


def test_two_systems_are_compared(files):
    call = ("--gold", files / "gold.jsonl", "--predicted", files / "predicted.jsonl", "--samples", 50)
    same = kcx(*call, "--against", files / "predicted.jsonl", "--json", files / "s.json").stdout
    assert "the other system has 61.54, paired p = 1.0000" in same
    found = json.loads((files / "s.json").read_text())["resampling"]["ner"]
    low, high = found["f1_interval_95"]
    assert 0 <= low < 8 / 13 < high <= 1
    assert (found["f1_against"], found["p_value"]) == (8 / 13, 1.0)


@pytest.mark.parametrize(("format", "row"), [("markdown", "| ner | all |"), ("latex", "ner & all &")])
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
