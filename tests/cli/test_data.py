"""``kcx data``."""

import json

import pytest
import typer
from typer.testing import CliRunner

from kcx_jax.cli import data
from kcx_jax.corpora import Record, catalogue, read_records, write_records
from kcx_jax.errors import KcxError, UsageError

CONLL = "李\tB-PER\n白\tI-PER\n来\tO\n\n来\tO\n"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "test.conll"
    path.write_text(CONLL, encoding="utf-8")
    return path


def kcx(*arguments):
    """The result of a command; a `KcxError` is raised, as `main` would catch it."""
    outcome = CliRunner(env={"COLUMNS": "200"}).invoke(data.app, list(map(str, arguments)))
    if isinstance(outcome.exception, KcxError):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_it_is_a_group_of_commands():
    assert isinstance(data.app, typer.Typer)
    for name in ("list", "show", "convert", "check"):
        assert f"kcx data {name}" in kcx(name, "--help").stdout  # each has its example


def test_list_names_every_benchmark_with_its_licence_and_source():
    shown = kcx("list").stdout
    for entry in catalogue():
        assert entry.name in shown
        assert entry.licence in shown
    assert "https://github.com/Babelscape/wikineural" in shown.replace("\n", "")


def test_show_marks_the_spans_and_says_how_the_file_was_read(corpus):
    done = kcx("show", corpus, "--language", "zh", "--limit", "1")
    assert done.stdout.splitlines() == ["test-0 (zh)", "李白[PER]来"]
    assert done.stderr == f"{corpus}: read as conll\n"


def test_convert_writes_checked_records(corpus, tmp_path):
    output = tmp_path / "out.jsonl.gz"
    done = kcx("convert", corpus, "--output", output, "--language", "zh", "--inventory", "uner")
    assert done.stdout == ""
    assert f"wrote 2 records to {output}" in done.stderr
    first, second = read_records(output)
    assert [(m.type, m.text) for m in first.entities] == [("Person", "李白")]
    assert (second.text, second.entities) == ("来", ())
    with pytest.raises(KcxError, match="exists already"):
        kcx("convert", corpus, "--output", output)
    kcx("convert", corpus, "--output", output, "--overwrite", "--limit", "1")
    assert len(list(read_records(output))) == 1


def test_convert_says_how_much_was_set_aside_and_shows_the_first(tmp_path):
    triple = {"predicate": "of", "subject": "a", "subject_type": "X", "object_type": "X"}
    rows = [{"text": "a", "spo_list": [triple | {"object": f"b{i}\x1b"} for i in range(2)]}] * 2
    path, output = tmp_path / "in.json", tmp_path / "out.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    kept, last = kcx("convert", path, "--output", output).stderr.splitlines()[-2:]
    assert kept == f"wrote 2 records to {output}"
    assert last.startswith("set aside: 4 relations whose ends are not in the text, such as in-0: ")
    assert (last.count('"object": "b'), "\x1b" in last) == (3, False)


def test_convert_refuses_what_it_does_not_know(corpus, tmp_path):
    with pytest.raises(UsageError, match="unknown reader 'x'"):
        kcx("convert", corpus, "--output", tmp_path / "o", "--reader", "x")
    with pytest.raises(UsageError, match="unknown writer 'x'"):
        kcx("convert", corpus, "--output", tmp_path / "o", "--writer", "x")
    with pytest.raises(KcxError, match="no class for the label 'PER'"):
        kcx("convert", corpus, "--output", tmp_path / "o", "--inventory", "cluener")
    assert [path.name for path in tmp_path.iterdir()] == ["test.conll"]


def test_the_columns_of_the_tags_can_be_chosen(tmp_path):
    path = tmp_path / "nested.tsv"
    path.write_text("1\tCity\tB-ORG\tB-LOC\n2\tBank\tI-ORG\tO\n", encoding="utf-8")
    output = tmp_path / "out.jsonl"
    kcx("convert", path, "--output", output, "--inventory", "none", "--column", "3", "--column", "4")
    (record,) = read_records(output)
    assert [(m.type, m.text) for m in record.entities] == [("LOC", "City"), ("ORG", "City Bank")]
    assert (
        kcx("show", path, "--column", "4", "--inventory", "none").stdout.splitlines()[1] == "City[LOC] Bank"
    )


def test_check_counts_what_is_seen_in_training(corpus, tmp_path):
    test = tmp_path / "test.jsonl"
    write_records([Record("1", "zh", "来"), Record("2", "zh", "去")], test)
    shown = kcx("check", corpus, test).stdout
    row = next(line for line in shown.splitlines() if "sentences" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["sentences", "1", "2", "50.00", "来"]


def test_control_characters_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": "\x1b[31m", "text": "a\x1b]0;x\x07b"}), encoding="utf-8")
    assert "\x1b" not in kcx("show", path).stdout
