"""``kcx data``."""

import json
import sys

import pytest
import typer
from typer.testing import CliRunner

from kcx_jax.cli import data
from kcx_jax.cli.extras import extra_of
from kcx_jax.corpora import Record, catalogue, read_records, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema.ontology import ontology_version

CONLL = "李\tB-PER\n白\tI-PER\n来\tO\n\n来\tO\n"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "test.conll"
    path.write_text(CONLL, encoding="utf-8")
    return path


def kcx(*arguments):
    """The result of a command; what `main` would catch is raised."""
    outcome = CliRunner(env={"COLUMNS": "200"}).invoke(data.app, list(map(str, arguments)))
    if isinstance(outcome.exception, KcxError | ModuleNotFoundError):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_it_is_a_group_of_commands():
    assert isinstance(data.app, typer.Typer)
    for name in ("list", "show", "convert", "check", "pack"):
        assert f"kcx data {name}" in kcx(name, "--help").stdout  # each has its example


def test_list_names_every_benchmark_and_what_is_not_known():
    shown = kcx("list").stdout
    for entry in catalogue():
        assert entry.name in shown
    assert "https://github.com/Babelscape/wikineural" in shown.replace("\n", "")
    row = next(line for line in shown.splitlines() if "wiki-zsl" in line)
    assert "unknown" in row
    assert "no reader" in row


def test_list_by_task_and_language_as_json():
    rows = json.loads(kcx("list", "--task", "ner", "--language", "zh", "--json").stdout)
    expected = [entry.name for entry in catalogue() if "ner" in entry.tasks and "zh" in entry.languages]
    assert [row["name"] for row in rows] == expected
    assert next(row for row in rows if row["name"] == "ontonotes5")["commit"] is None
    with pytest.raises(UsageError, match="unknown task 'x'"):
        kcx("list", "--task", "x")


def test_show_a_benchmark_in_full():
    shown = kcx("show", "masakhaner2").stdout
    entry = next(entry for entry in catalogue() if entry.name == "masakhaner2")
    assert all(path in shown and entry.sha256[path] in shown.replace("\n", "") for _, path in entry.files())
    assert "LDC2006T06" in kcx("show", "ace05-ee").stdout
    with pytest.raises(UsageError, match="did you mean"):
        kcx("show", "masakaner2")
    for path in ("masakaner2.jsonl", "data/masakaner2"):
        with pytest.raises(KcxError, match=f"{path}: No such file"):
            kcx("show", path)


def test_what_is_on_disk_and_how_to_get_the_rest(tmp_path):
    path = tmp_path / "cluener/dataset/train.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}", encoding="utf-8")
    shown = kcx("list", "--root", tmp_path, "--language", "zh").stdout
    row = " ".join(line.split("│")[-2].strip() for line in shown.splitlines() if "│" in line)
    assert "2 missing, 1 wrong; get it from https://github.com/asifreal/cluener" in row
    (entry,) = (
        row
        for row in json.loads(kcx("list", "--root", tmp_path, "--json").stdout)
        if row["name"] == "cluener"
    )
    assert [file["state"] for file in entry["files"]] == ["wrong", "missing", "missing"]
    with pytest.raises(KcxError, match="cluener: 2 missing, 1 wrong; get it from"):
        kcx("check", "cluener", "--root", tmp_path)
    (tmp_path / "fabner").mkdir()
    (tmp_path / "fabner/train.parquet").touch()
    assert "unchecked" in kcx("check", "fabner", "--root", tmp_path).stdout
    with pytest.raises(UsageError, match="--root DIR or KCX_DATA"):
        kcx("check", "cluener")
    with pytest.raises(UsageError, match="no folder"):
        kcx("check", "cluener", "--root", tmp_path / "nowhere")


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


def test_the_unit_of_the_offsets_can_be_named(tmp_path):
    path = tmp_path / "browser.jsonl"
    path.write_text(json.dumps({"text": "😀 Ada", "label": [[3, 6, "PER"]]}), encoding="utf-8")
    with pytest.raises(KcxError, match=r"label\[0\]: \[3, 6\) is no span .*offsets in code-points"):
        kcx("convert", path, "--output", tmp_path / "out.jsonl")
    kcx("convert", path, "--output", tmp_path / "out.jsonl", "--offset-unit", "utf-16")
    (record,) = read_records(tmp_path / "out.jsonl")
    assert [(m.start, m.end, m.text) for m in record.entities] == [(2, 5, "Ada")]
    assert "Ada" in kcx("show", path, "--offset-unit", "utf-16").stdout
    with pytest.raises(UsageError, match="unknown offset unit 'utf-32'; known: code-points"):
        kcx("show", path, "--offset-unit", "utf-32")


def test_check_counts_what_is_seen_in_training(corpus, tmp_path):
    test, report = tmp_path / "test.jsonl", tmp_path / "report.json"
    text = "the ferry to the northern islands leaves at seven"
    write_records([Record("1", "zh", "来"), Record("2", "zh", "去"), Record("3", "en", text)], test)
    more = tmp_path / "more.jsonl"
    write_records([Record("m", "en", text + "!")], more)
    shown = kcx("check", corpus, more, test, "--exact").stdout
    row = next(line for line in shown.splitlines() if "sentences" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["sentences", "1", "3", "33.33", "来"]
    assert "near" not in shown
    pytest.importorskip("datasketch")
    kcx("check", corpus, more, test, "--json", report)
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["near-duplicates"]["examples"] == [text]
    assert [(row["test_id"], row["train_id"]) for row in found["duplicates"]] == [("1", "test-1"), ("3", "m")]
    with pytest.raises(KcxError, match="exists already"):
        kcx("check", corpus, test, "--json", report)
    assert kcx("check", corpus, more, test, "--threshold", "1").stdout.count("33.33") == 1
    with pytest.raises(UsageError, match="threshold"):
        kcx("check", corpus, test, "--threshold", "1.5")
    with pytest.raises(UsageError, match="nothing to compare it with"):
        kcx("check", test)


def test_check_without_the_extra_names_it(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(ModuleNotFoundError):
        kcx("check", corpus, corpus)
    kcx("check", corpus, corpus, "--exact")
    assert extra_of("datasketch") == "leakage"


def test_control_characters_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": "\x1b[31m", "text": "a\x1b]0;x\x07b"}), encoding="utf-8")
    assert "\x1b" not in kcx("show", path).stdout


def test_convert_says_what_maps_the_labels_and_which_were_merged(corpus, tmp_path):
    inventory = tmp_path / "own.yaml"
    inventory.write_text("entities: {Location: [PER, LOC]}\nmerges: [Location]\n", encoding="utf-8")
    output = tmp_path / "out.jsonl"
    done = kcx("convert", corpus, "--output", output, "--inventory", inventory)
    version = ontology_version(str(inventory))
    assert f"labels by the inventory {inventory}, ontology version {version}\n" in done.stderr
    assert "merged" not in done.stderr  # LOC is not in the file
    corpus.write_text("A B-PER\nB B-LOC\nC B-PER\n", encoding="utf-8")
    done = kcx("convert", corpus, "--output", output, "--inventory", inventory, "--overwrite")
    assert done.stderr.count("Location: merged from the labels PER, LOC\n") == 1
    (record,) = read_records(output)
    assert [m.type for m in record.entities] == ["Location"] * 3
    assert list(record.meta["source_labels"].values()) == ["PER", "LOC", "PER"]
    assert "inventory" not in kcx("convert", output, "--output", tmp_path / "again.jsonl").stderr


def test_convert_says_which_roles_were_merged(tmp_path):
    inventory = tmp_path / "own.yaml"
    inventory.write_text(
        "events: {Pledge: {label: 质押, roles: {giver: [sub-org, sub-per]}}}\nmerges: [Pledge.giver]\n",
        "utf-8",
    )
    mentions = [
        {"word": "a", "span": [0, 1], "role": "sub-org"},
        {"word": "b", "span": [1, 2], "role": "sub-per"},
    ]
    mentions.append({"word": "c", "span": [2, 3], "role": "trigger"})
    row = {"id": "1", "content": "abc", "events": [{"type": "质押", "mentions": mentions}]}
    path = tmp_path / "events.json"
    path.write_text(json.dumps(row), "utf-8")
    done = kcx("convert", path, "--output", tmp_path / "out.jsonl", "--inventory", inventory)
    assert "Pledge.giver: merged from the labels sub-org, sub-per\n" in done.stderr
    (record,) = read_records(tmp_path / "out.jsonl")
    assert [argument.role for argument in record.events[0].arguments] == ["giver", "giver"]


def test_pack_writes_a_folder_or_says_what_the_config_lacks(tmp_path):
    with pytest.raises(UsageError, match=r"missing\.yaml"):
        kcx("pack", tmp_path / "missing.yaml", "--output", tmp_path / "packed")
    config = tmp_path / "run.yaml"
    data = "{path: a.jsonl, schema: s.py}"
    config.write_text(f"model: base\nrun_dir: run\nstages: [{{kind: extract, data: [{data}]}}]\n")
    with pytest.raises(UsageError, match="unknown key 'modle'"):
        kcx("pack", config, "--output", tmp_path / "packed", "--set", "modle=other")
    model = tmp_path / "model"
    model.mkdir()
    with pytest.raises(KcxError, match=r"cannot read .*config\.json"):
        kcx("pack", config, "--output", tmp_path / "packed", "--set", f"model={model}")
    assert not (tmp_path / "packed").exists()
