"""Whole runs against a scripted chat server: what is asked, kept, refused, gone on with, and what the table says."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kcx_jax.corpora import read_records, write_records
from kcx_jax.errors import BudgetExceeded, KcxError, UsageError
from kcx_jax.evaluation.runs import evaluate
from kcx_jax.evaluation.runs.folder import Results
from kcx_jax.testing.llm_server import ScriptedServer

from .conftest import RECORDS, SYSTEM, code

TABLES = ("table.md", "table.tex", "table.json")


def tables(folder):
    return [(folder / name).read_bytes() for name in TABLES]


def cells(outcome, row="en"):
    table = json.loads((outcome.folder / "table.json").read_text())
    (found,) = [each for each in table["rows"] if each["benchmark"] == row]
    return found["measured"]


def test_right_answers_score_one_and_missing_items_do_not(config, corpora):
    outcome = evaluate(config(means=[{"name": "both", "of": ["*"]}]))
    chinese = cells(outcome, "zh")["chat"]
    assert cells(outcome)["chat"]["f1"] == 1.0
    assert chinese["predicted"] == chinese["gold"] - sum(bool(r.entities) for r in gold_of(outcome, "zh"))
    assert cells(outcome, "both")["chat"]["f1"] == pytest.approx((1 + chinese["f1"]) / 2)
    assert outcome.answered == 24
    assert not outcome.not_run
    results = Results(outcome.folder)
    for language in ("en", "zh"):
        gold = gold_of(outcome, language)
        assert gold == [r for r in read_records(corpora / f"{language}.jsonl", "jsonl") if r in gold]
        rows = results.answers("chat", language, "ner").read_text().splitlines()
        records = list(read_records(results.records("chat", language, "ner"), "jsonl"))
        for record, predicted, row in zip(gold, records, map(json.loads, rows), strict=True):
            assert (record.id, record.text) == (predicted.id, predicted.text)
            assert row == {"id": record.id, "task": "ner", "output": predicted.meta["answers"]["ner"]}


def gold_of(outcome, language):
    return list(read_records(Results(outcome.folder).gold(language), "jsonl"))


def test_the_same_config_twice_gives_equal_bytes_and_asks_nothing(config, server):
    outcome = evaluate(config())
    before, asked = tables(outcome.folder), server.bill.requests
    again = evaluate(config())
    assert (again.answered, server.bill.requests) == (0, asked)
    assert tables(outcome.folder) == before
    elsewhere = evaluate(config(name="elsewhere"))
    assert tables(elsewhere.folder) == before


def test_json_answers_are_asked_for_and_read_like_code(config):
    mentions = {}
    for record in (*RECORDS["en"], *RECORDS["zh"]):
        said = {}
        for mention in record.entities:
            said.setdefault(mention.type, []).append(mention.text)
        mentions[record.text] = {"ner": f"Here it is:\n{json.dumps(said, ensure_ascii=False)}"}
    with ScriptedServer(mentions) as server:
        base = SYSTEM | {"style": "json", "base_url": server.base_url}
        outcome = evaluate(config(base))
        assert [cells(outcome, language)["chat"]["f1"] for language in ("en", "zh")] == [1.0, 1.0]


def test_a_ledger_answers_for_a_folder_that_lost_its_records(config, server):
    outcome = evaluate(config())
    before, asked = tables(outcome.folder), server.bill.requests
    for path in outcome.folder.glob("systems/chat/*/*.jsonl"):
        path.unlink()
    assert evaluate(config()).answered == 24
    assert (tables(outcome.folder), server.bill.requests) == (before, asked)


def test_a_folder_takes_more_systems_and_benchmarks_and_no_other_config(config, server, corpora):
    first = {**SYSTEM, "base_url": server.base_url}
    outcome = evaluate(config(first))
    rows = cells(outcome)["chat"]
    more = evaluate(config(first, {"kind": "outputs", "name": "other", "path": "absent.jsonl"}))
    assert cells(more)["chat"] == rows
    assert "absent.jsonl is not there" in cells(more)["other"]["not_run"]
    for sets in (["seed=1"], ["benchmarks.0.limit=11"], ["systems.0.model=n"], ["systems.0.name=renamed"]):
        with pytest.raises(KcxError, match="holds the results of another config"):
            evaluate(config(first, {"kind": "outputs", "name": "other", "path": "absent.jsonl"}, sets=sets))
    slower = ["systems.0.concurrency=1", "systems.0.timeout=9"]
    evaluate(config(first, {"kind": "outputs", "name": "other", "path": "absent.jsonl"}, sets=slower))
    (corpora / "full").mkdir()
    (corpora / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(KcxError, match="exists already"):
        evaluate(config(name="full"))


def test_data_that_changed_stop_the_run(config, corpora):
    evaluate(config())
    write_records(reversed(RECORDS["en"]), corpora / "en.jsonl", overwrite=True)
    with pytest.raises(KcxError, match="benchmark en: sha256 changed"):
        evaluate(config())


def test_what_cannot_be_run_is_said_and_the_rest_goes_on(config, corpora):
    (corpora / "en.jsonl").unlink()
    lines = []
    outcome = evaluate(config(means=[{"name": "mean", "of": ["en", "zh"]}]), say=lines.append)
    assert "not there" in cells(outcome)["chat"]["not_run"]
    assert cells(outcome, "zh")["chat"]["f1"] > 0
    assert cells(outcome, "mean")["chat"] == {"not_run": "1 of 2 benchmarks are not run"}
    assert len(lines) == len(outcome.failed) == 1
    assert "not run: chat on en (ner)" in (outcome.folder / "table.md").read_text()


def test_a_task_that_no_record_drawn_is_annotated_for_is_no_failure(config, corpora):
    """Its tasks are those of the whole file."""
    records = [replace(record, relations=None) for record in RECORDS["en"]]
    records.append(replace(records[0], id="last", relations=()))
    write_records(records, corpora / "en.jsonl", overwrite=True)
    outcome = evaluate(config(sets=["benchmarks.0.limit=5", "benchmarks.0.tasks=[ner,re]"]))
    assert "none of the records drawn" in outcome.not_run["chat", "en", "re"]
    assert not any("drawn" in reason for reason in outcome.failed)


def test_a_file_whose_records_drawn_have_none_of_the_tasks_is_told_so(config, corpora):
    sets = ["benchmarks.0.limit=1", "benchmarks.0.tasks=[re]"]
    records = [replace(record, relations=None) for record in RECORDS["en"]]
    records.append(replace(records[0], id="last", relations=()))
    write_records(records, corpora / "en.jsonl", overwrite=True)
    reason = evaluate(config(sets=sets)).not_run["chat", "en", "re"]
    assert f"in the 1 of {len(records)} records that limit draws" in reason
    write_records(records[:-1], corpora / "en.jsonl", overwrite=True)
    reason = evaluate(config(sets=sets, name="other")).not_run["chat", "en", "re"]
    assert reason.endswith("annotated for none of the tasks that are asked")


def test_a_part_of_a_benchmark_is_said_not_to_be_comparable(config):
    changes = {"sets": ["benchmarks.0.published=multiconer22/{language}"]}
    outcome = evaluate(config(**changes))
    text = (outcome.folder / "table.md").read_text()
    assert text.count("so the published cells beside it are not comparable") == 2
    assert "| 56.37 |" in text
    assert "KnowCoder-X (published)" in (outcome.folder / "table.tex").read_text()


def test_a_benchmark_that_came_later_joins_the_same_config(config, corpora):
    path = corpora / "zh.jsonl"
    away = path.rename(corpora / "away.jsonl")
    sets = ["benchmarks.0.reader=null"]  # so that the file itself says what it is
    before = cells(evaluate(config(sets=sets)), "zh")["chat"]
    away.rename(path)
    assert "not there" in before["not_run"]
    outcome = evaluate(config(sets=sets))
    assert all(
        "f1" in row["measured"]["chat"]
        for row in json.loads((outcome.folder / "table.json").read_text())["rows"]
    )


def test_classes_alone_are_asked_for_and_counted(config, server):
    kept = ["Person"]
    outcome = evaluate(config(sets=["benchmarks.0.classes=[Person]"], name="some"))
    for language in ("en", "zh"):
        assert {m.type for r in gold_of(outcome, language) for m in r.entities} == set(kept)
    assert cells(outcome)["chat"]["gold"] < cells(evaluate(config()))["chat"]["gold"]


def test_joined_records_are_longer_documents(config):
    outcome = evaluate(config(sets=["benchmarks.0.join=3", "benchmarks.0.limit=null"]))
    assert len(gold_of(outcome, "en")) == len(RECORDS["en"]) // 3
    assert outcome.not_run  # the server knows single sentences alone


def test_prompts_show_what_they_are_told_to(config, corpora):
    from kcx_jax.evaluation.runs.benchmark import load_benchmark
    from kcx_jax.evaluation.runs.resolving import resolved

    sets = ["benchmarks.0.prompts.descriptions=false", "benchmarks.0.prompts.exemplars=2"]
    made = resolved(config(sets=[*sets, f"benchmarks.0.train={corpora}/{{language}}.jsonl"]))
    schema = load_benchmark(made.benchmarks[0], None, 0).schema
    assert not any(concept.description for concept in schema.concepts)
    asked = {record.text for record in load_benchmark(made.benchmarks[0], None, 0).gold}
    shown = {m.text for r in RECORDS["en"] if r.text not in asked for m in r.entities}
    assert any(concept.exemplars for concept in schema.concepts)
    assert {each for concept in schema.entities for each in concept.exemplars} <= shown
    plain = load_benchmark(resolved(config(sets=["benchmarks.0.prompts.exemplars=0"])).benchmarks[0], None, 0)
    assert not any(concept.exemplars for concept in plain.schema.concepts)
    assert any(concept.description for concept in plain.schema.concepts)


def test_a_budget_stops_the_run_and_a_larger_one_goes_on(config, server, corpora):
    prices = corpora / "prices.yaml"
    prices.write_text("version: t\nmodels:\n  m: {input: '1', output: '1'}\n")
    chat = SYSTEM | {"base_url": server.base_url, "prices": str(prices), "max_tokens": 200, "concurrency": 1}
    with pytest.raises(BudgetExceeded):
        evaluate(config(chat | {"budget": "0.004"}))
    answered = server.bill.answers
    assert 0 < answered < 24
    outcome = evaluate(config(chat | {"budget": "1"}))
    assert (server.bill.answers, server.bill.paid_twice) == (24, 0)
    assert not outcome.not_run


def test_shards_answer_their_part_and_the_last_call_writes_the_table(config, server):
    counts = [evaluate(config(name="parts"), shard=(part, 2)).answered for part in range(2)]
    assert counts == [12, 12]
    assert not (
        config(name="parts").results and Results(config(name="parts").results).root / "table.md"
    ).exists()
    asked = server.bill.requests
    outcome = evaluate(config(name="parts"))
    assert (outcome.answered, server.bill.requests) == (0, asked)
    assert tables(outcome.folder) == tables(evaluate(config()).folder)


def test_shards_share_no_budget(config, server):
    chat = SYSTEM | {"base_url": server.base_url, "budget": "1"}
    other = {"kind": "outputs", "name": "other", "path": "absent.jsonl"}
    with pytest.raises(UsageError, match=r"^chat: .*without --shard, or .*--set systems\.1\.budget=null$"):
        evaluate(config(other, chat), shard=(0, 2))
    assert not Path(config(other, chat).results).exists()
    assert evaluate(config(other, chat, sets=["systems.1.budget=null"]), shard=(0, 2)).answered == 12


# Without JAX, which only our own models need.
PROGRAM = "import sys; sys.modules['jax'] = None; from kcx_jax.cli import main; main()"


def test_killed_anywhere_it_goes_on_to_the_same_table(config, corpora):
    answers = {record.text: code(record) for record in (*RECORDS["en"], *RECORDS["zh"])}
    with ScriptedServer(answers) as server:
        whole = evaluate(config({**SYSTEM, "base_url": server.base_url}))
    # The server keeps the fourth question of each language waiting, until its asker is killed.
    waiting = {gold_of(whole, language)[3].text for language in ("en", "zh")}
    with ScriptedServer(answers, lambda ask: "hang" if ask.sentence in waiting else None) as server:
        config({**SYSTEM, "base_url": server.base_url, "concurrency": 1}, name="killed")
        words = [sys.executable, "-c", PROGRAM, "evaluate", str(corpora / "killed.yaml")]
        for deaths in (1, 2):
            child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while server.bill.faults["hang"] < deaths:
                assert child.poll() is None, child.stderr.read()
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            child.communicate()
            (partial,) = (corpora / "killed" / "systems" / "chat").glob("*/*.partial")
            assert len(partial.read_text().splitlines()) <= 1 + 3
        done = subprocess.run(words, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert server.bill.paid_twice == 0
    assert tables(corpora / "killed") == tables(whole.folder)
