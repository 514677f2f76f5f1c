"""What a cell of the table says: that something could not be run or has no answer, and nothing that is not so."""

import json
import re
import sys
from dataclasses import replace

import pytest

from kcx_jax.corpora import Mention, Record, RelationLink, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.runs import EvaluateConfig, evaluate
from kcx_jax.evaluation.runs.config import TaggerSystem
from kcx_jax.evaluation.runs.folder import Results
from kcx_jax.evaluation.runs.report import write_report
from kcx_jax.evaluation.runs.report.loaded import load_run
from kcx_jax.evaluation.runs.report.pooled import in_gold, pooled
from kcx_jax.evaluation.runs.systems import needing_packages
from kcx_jax.evaluation.runs.tagger import MODEL
from kcx_jax.llm.retry import RetryPolicy
from kcx_jax.scoring import Counts
from kcx_jax.testing.llm_server import ScriptedServer

from .conftest import RECORDS, SYSTEM, code

GOLD = [Record(str(n), "en", f"Ada{n} left", (Mention("e0", "Person", 0, 4, f"Ada{n}"),)) for n in range(5)]


@pytest.fixture
def run(tmp_path):
    """Call with systems for a run over gold of five records, and other benchmarks by their records."""

    def make(*systems, benchmarks=None, say=lambda line: None, **changes):
        entries = []
        for name, (records, more) in {"b": (GOLD, {}), **(benchmarks or {})}.items():
            path = tmp_path / f"{name}.gold.jsonl"
            if records is not None:
                write_records(records, path, overwrite=True)
            entries.append({"name": name, "path": str(path), "inventory": None, **more})
        values = {"results": str(tmp_path / "run"), "samples": 20, "benchmarks": entries, "systems": systems}
        return evaluate(EvaluateConfig.model_validate(values | changes), say=say)

    return make


@pytest.fixture
def wrote(tmp_path):
    """Call with a name and records for a system that wrote these of every benchmark."""

    def make(name, records, file=None):
        path = tmp_path / (file or f"{name}.jsonl")
        rows = (json.dumps(record.to_json()) + "\n" for record in records)
        path.write_text("".join(rows), encoding="utf-8")
        return {"kind": "outputs", "name": name, "path": str(path), "format": "records"}

    return make


def measured(outcome, system, benchmark="b", task="ner"):
    table = json.loads((outcome.folder / "table.json").read_text())
    (found,) = [r for r in table["rows"] if (r["benchmark"], r["task"]) == (benchmark, task)]
    return found["measured"][system]


def notes(outcome):
    return json.loads((outcome.folder / "table.json").read_text())["notes"]


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([*GOLD, GOLD[0]], "have the same id"),
        ([*GOLD, replace(GOLD[0], id="another")], "no gold record of their id, such as 'another'"),
        ([replace(GOLD[0], text="Ada0 came")], "is not the gold text"),
        ([replace(GOLD[0], meta={"unresolved": 3})], "meta.unresolved must be a list"),
    ],
)
def test_a_file_that_does_not_belong_to_gold_is_not_run_until_it_is_mended(run, wrote, records, reason):
    outcome = run(wrote("bad", records), wrote("good", GOLD))
    assert reason in measured(outcome, "bad")["not_run"]
    assert "bad.jsonl" in measured(outcome, "bad")["not_run"]
    assert measured(outcome, "good")["f1"] == 1.0
    results = Results(outcome.folder)
    assert not results.records("bad", "b", "ner").exists()
    assert not any("bad" in name for name in results.facts()["outputs"])
    mended = run(wrote("bad", GOLD), wrote("good", GOLD))
    assert measured(mended, "bad")["f1"] == 1.0
    assert not mended.not_run


def test_another_file_is_taken_where_the_records_of_the_first_were_removed(run, wrote):
    first = run(wrote("s", GOLD))
    Results(first.folder).records("s", "b", "ner").unlink()
    again = run(wrote("s", GOLD[:3]))
    assert not again.not_run
    assert measured(again, "s")["predicted"] == 3


def test_records_that_a_file_lacks_are_told(run, wrote):
    outcome = run(wrote("some", GOLD[:3]), wrote("none", []))
    assert "some on b (ner): 2 of 5 records have no prediction, and count as empty" in notes(outcome)
    assert "none on b (ner): 5 of 5 records have no prediction, and count as empty" in notes(outcome)


def test_what_cannot_be_scored_is_not_run_and_the_rest_goes_on(run, wrote):
    outcome = run(wrote("bad", GOLD), wrote("good", GOLD))
    results = Results(outcome.folder)
    results.scores("bad", "b").unlink()
    write_records([replace(GOLD[0], text="Ada0 came")], results.records("bad", "b", "ner"), overwrite=True)
    lines = []
    again = run(wrote("bad", GOLD), wrote("good", GOLD), say=lines.append)
    assert "is not the gold text" in measured(again, "bad")["not_run"]
    assert measured(again, "good")["f1"] == 1.0
    assert len(again.failed) == len(lines) == 1


def test_a_task_that_its_mode_does_not_count_is_refused_before_anything_is_asked(run, wrote, tmp_path):
    linked = [replace(record, relations=()) for record in GOLD]
    with pytest.raises(
        UsageError, match=r"benchmark r: mode 'multiconer' does not count the task 're'; it counts: ner"
    ):
        run(wrote("s", GOLD), benchmarks={"r": (linked, {})}, mode="multiconer")
    assert not (tmp_path / "run").exists()
    assert not run(
        wrote("s", linked), benchmarks={"r": (linked, {"mode": "strict"})}, mode="multiconer"
    ).not_run


@pytest.mark.parametrize(("content", "reason"), [(b"\xff\n", "UTF-8"), (b"", "cannot tell its format")])
def test_a_benchmark_that_cannot_be_read_leaves_the_others(run, wrote, tmp_path, content, reason):
    (tmp_path / "x.gold.jsonl").write_bytes(content)
    outcome = run(wrote("s", GOLD), benchmarks={"x": (None, {})})
    assert "x.gold.jsonl" in measured(outcome, "s", "x")["not_run"]
    assert reason in measured(outcome, "s", "x")["not_run"]
    assert measured(outcome, "s")["f1"] == 1.0
    assert run(wrote("s", GOLD), benchmarks={"x": (GOLD, {})}).not_run == {}


def test_a_package_that_is_missing_stops_its_system_alone(run, wrote, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycrfsuite", None)
    write_records(GOLD, tmp_path / "train.jsonl")
    tagger = {"kind": "tagger", "name": "crf"}
    outcome = run(
        tagger, wrote("s", GOLD), benchmarks={"t": (GOLD, {"train": str(tmp_path / "train.jsonl")})}
    )
    reason = "this needs the package pycrfsuite, which is not installed. Install it with: pip install "
    assert measured(outcome, "crf", "t")["not_run"] == f"{reason}'kcx-jax[supervised]'"
    assert measured(outcome, "s", "t")["f1"] == 1.0
    ours = ModuleNotFoundError(name="kcx_jax.gone")  # a fault of the program, and no reason of a cell
    with pytest.raises(ModuleNotFoundError), needing_packages(TaggerSystem.model_validate(tagger)):
        raise ours


def fails_five_times(ask):
    """The fault of one sentence: so often that the client gives it up."""
    return "server_error" if ask.sentence == RECORDS["en"][3].text else None


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(RetryPolicy, "wait", lambda self, sends: 0.0)


def test_a_question_without_an_answer_is_told_and_asked_again(config, no_waiting):
    answers = {record.text: code(record) for each in RECORDS.values() for record in each}
    again = "; the same command asks them again, but for what was refused"
    with ScriptedServer(answers, fails_five_times, passes=5) as server:
        sets = ["benchmarks.0.limit=null", "benchmarks.0.languages=[en]"]
        chat = SYSTEM | {"base_url": server.base_url}
        outcome = evaluate(config(chat, sets=sets))
        assert f"chat on en (ner): 1 of 24 questions got no answer, and count as empty{again}" in notes(
            outcome
        )
        assert measured(outcome, "chat", "en")["unanswered"] == 1
        assert measured(outcome, "chat", "en")["f1"] < 1.0
        asked = server.bill.requests
        mended = evaluate(config(chat, sets=sets))
        assert server.bill.requests == asked + 1
        assert measured(mended, "chat", "en")["f1"] == 1.0
        assert not any("got no answer" in note for note in notes(mended))
        assert evaluate(config(chat, sets=sets)).answered == 0


def test_a_question_asked_again_in_vain_leaves_what_was_answered(config, no_waiting):
    answers = {record.text: code(record) for each in RECORDS.values() for record in each}
    sets = ["benchmarks.0.limit=null", "benchmarks.0.languages=[en]"]
    with ScriptedServer(answers, fails_five_times, passes=5) as server:
        chat = SYSTEM | {"base_url": server.base_url}
        records = Results(evaluate(config(chat, sets=sets)).folder).records("chat", "en", "ner")
        before = records.read_bytes()
    stopped = evaluate(config(chat, sets=sets))  # nobody is there any more
    assert "f1" not in measured(stopped, "chat", "en")
    assert records.read_bytes() == before


def test_means_leave_out_benchmarks_without_gold(run, wrote):
    bare = [Record("0", "en", "nothing", ())]
    means = [{"name": "m", "of": ["b", "x"]}, {"name": "n", "of": ["x"]}]
    outputs = wrote("s", GOLD, "b.said.jsonl")
    wrote("s", bare, "x.said.jsonl")
    system = outputs | {"path": outputs["path"].replace("b.said", "{benchmark}.said")}
    outcome = run(system, benchmarks={"x": (bare, {"tasks": ["ner"]})}, means=means)
    assert measured(outcome, "s", "m") == {"f1": 1.0, "benchmarks": 1}
    assert measured(outcome, "s", "n")["benchmarks"] == 0
    text = (outcome.folder / "table.md").read_text()
    assert "| n | ner | strict | no gold |" in text
    assert "- m (ner): benchmarks without gold are left out of means: x" in text
    plain = run(system, results=f"{outcome.folder}-plain", means=[{"name": "m", "of": ["b"]}])
    assert "benchmarks without gold" not in (plain.folder / "table.md").read_text()


def test_a_system_that_gave_nothing_may_change(run, wrote, tmp_path):
    wrote("s", GOLD)
    system = {"kind": "outputs", "name": "s", "path": str(tmp_path / "typo.jsonl")}
    outcome = run(system)
    assert "typo.jsonl is not there" in measured(outcome, "s")["not_run"]
    results = Results(outcome.folder)
    partial = results.records("s", "b", "ner").with_name("ner.records.jsonl.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text('{"settings": {}}\n')
    (partial.parent / "ledger.db").touch()
    results.note("systems", "s", {"base": "of the other path"})
    mended = run(system | {"path": str(tmp_path / "s.jsonl")})
    assert measured(mended, "s")["f1"] == 1.0
    assert results.facts()["systems"]["s"] == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ner.records.jsonl", ""),
        ("ner.records.jsonl.partial", '{"settings": {}}\n{"id": "0"}\n'),
        (MODEL, "learnt"),
    ],
)
def test_a_system_that_gave_something_may_not(run, tmp_path, name, content):
    system = {"kind": "outputs", "name": "s", "path": str(tmp_path / "typo.jsonl")}
    folder = Results(run(system).folder).system("s") / "b"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    with pytest.raises(KcxError, match="system s has other settings"):
        run(system | {"path": "other.jsonl"})


def test_a_schema_that_changed_stops_the_run(run, wrote, tmp_path):
    schema = tmp_path / "schema.yaml"
    schema.write_text("Person: {description: people}\n")
    benchmarks = {"c": (GOLD, {"schema": str(schema)})}
    run(wrote("s", GOLD), benchmarks=benchmarks)
    schema.write_text("Person: {description: people and gods}\n")
    with pytest.raises(KcxError, match="benchmark c: schema_sha256 changed"):
        run(wrote("s", GOLD), benchmarks=benchmarks)


def test_a_task_that_gold_has_not_is_not_run(run, wrote, tmp_path):
    outcome = run(wrote("s", GOLD), benchmarks={"c": (GOLD, {"tasks": ["ner", "re"]})})
    reason = f"c: {tmp_path}/c.gold.jsonl is not annotated for re"
    assert measured(outcome, "s", "c", "re") == {"not_run": reason}
    assert measured(outcome, "s", "c")["f1"] == 1.0
    assert outcome.failed == {reason}


def test_a_cell_with_a_reason_shows_no_older_figure(run, wrote):
    linked = [replace(r, relations=(RelationLink("Met", "e0", "e0"),)) for r in GOLD]
    run(wrote("s", linked), wrote("t", linked), benchmarks={"b": (linked, {})})
    wrote("s", linked[:2])
    outcome = run(wrote("s", linked[:2]), wrote("t", linked), benchmarks={"b": (linked, {})})
    for task in ("ner", "re"):
        assert "sha256 changed" in measured(outcome, "s", task=task)["not_run"]
        assert measured(outcome, "t", task=task)["f1"] == 1.0
    loaded = load_run(outcome.folder)
    assert loaded.scores("s", "b") == {}
    assert {
        name for labels in pooled(loaded, "per_type").values() for each in labels.values() for name in each
    } == {"t"}
    rows = (outcome.folder / "sentences.jsonl").read_text().splitlines()
    assert {name for row in rows for name in json.loads(row)["answers"]} == {"t"}


def test_what_was_answered_is_shown_though_the_endpoint_is_gone(config, no_waiting):
    answers = {record.text: code(record) for each in RECORDS.values() for record in each}
    with ScriptedServer(answers) as server:
        chat = SYSTEM | {"base_url": server.base_url}
        evaluate(config(chat, sets=["benchmarks.0.languages=[zh]"]))
    outcome = evaluate(config(chat))
    assert "f1" not in measured(outcome, "chat", "en")
    assert measured(outcome, "chat", "zh")["f1"] == 1.0


def test_damaged_files_of_the_folder_are_named_with_what_to_do(run, wrote):
    outcome = run(wrote("s", GOLD))
    scores, facts = Results(outcome.folder).scores("s", "b"), outcome.folder / "run.json"
    for path, remedy in (
        (scores, "Remove it and run again"),
        (facts, "Bring it back, or begin in another folder"),
    ):
        whole = path.read_text()
        for damaged in (whole[: len(whole) // 2], "[]", "{}", ""):
            path.write_text(damaged)
            with pytest.raises(KcxError, match=rf"{re.escape(str(path))}.*{remedy}"):
                run(wrote("s", GOLD))
            with pytest.raises(KcxError, match=rf"{re.escape(str(path))}.*{remedy}"):
                write_report(outcome.folder)
        path.write_text(whole)
    scores.unlink()
    assert measured(run(wrote("s", GOLD)), "s")["f1"] == 1.0


def test_line_breaks_of_titles_and_notes_stay_inside(run, wrote):
    outcome = run(wrote("s", GOLD), title="One\n| two |", notes=["three\n\n# four"])
    lines = (outcome.folder / "table.md").read_text().splitlines()
    assert lines[0] == "# One | two |"
    assert "- three # four" in lines


def test_counts_in_halves_are_told_in_items(run, wrote):
    first, second, *_ = GOLD
    partly = replace(second, entities=(Mention("e0", "Person", 1, 4, "da1"),))
    outcome = run(wrote("some", [first, partly, *GOLD[3:]]), mode="nervaluate_partial")
    cell = measured(outcome, "some")
    assert (cell["gold"], cell["predicted"], cell["f1"]) == (5, 4, pytest.approx(2 * 3.5 / 9))
    (found,) = pooled(load_run(outcome.folder), "per_type")["ner"].values()
    assert in_gold(found) == 5
    assert found["some"] == Counts(3.5, 0.5, 1.5)
    assert "5 in gold" in (outcome.folder / "report.html").read_text(encoding="utf-8")
