"""The contract in one file: record -> prompt and answer -> parsed -> grounded = record, scored 1.0."""

from pathlib import Path

import pytest
import yaml

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.prompts import Branch, alignment_tree, extraction_prefix, extraction_tree
from kcx_jax.schema import TASKS, load_schema, parse_answer, render_schema
from kcx_jax.scoring import ground, score, task_view

GOLDEN = yaml.safe_load((Path(__file__).parent / "golden.yaml").read_text(encoding="utf-8"))
SCHEMA = load_schema(GOLDEN["schema"])
RECORDS = {case["record"]["id"]: Record.from_json(case["record"]) for case in GOLDEN["records"]}
CASES = pytest.mark.parametrize("case", GOLDEN["records"], ids=list(RECORDS))
EACH_TASK = pytest.mark.parametrize("task", TASKS)


def grounded(record: Record, answer: str, task: str) -> Record:
    """What becomes of an answer about a record's text."""
    parsed = parse_answer(answer, SCHEMA.for_task(task))
    assert parsed.problems == ()
    found = ground(parsed.instances, record.text, task=task, id=record.id, language=record.language)
    assert found.unresolved == ()
    return found.record


def test_ten_records_hold_what_they_promise():
    records = RECORDS.values()
    assert len(records) == 10
    assert {record.language for record in records} >= {"en", "zh", "ar"}
    assert any(max(record.text) > "\uffff" for record in records)
    assert any(mention.spans for record in records for mention in record.entities)
    assert any(not (record.entities or record.relations or record.events) for record in records)


def test_the_schema_is_written_as_it_renders():
    assert render_schema(SCHEMA) == GOLDEN["schema"]


@EACH_TASK
def test_prefixes(task):
    assert extraction_prefix(SCHEMA, task) == GOLDEN["prefixes"][task]


@EACH_TASK
@CASES
def test_record_to_prompt_and_answer(case, task):
    record = Record.from_json(case["record"])
    tree = extraction_tree(SCHEMA, [record], task)
    assert tree.branches == (Branch(case["context"], " " + case["answers"][task], record.id),)
    assert (tree.task, tree.prefix, tree.schema) == (task, GOLDEN["prefixes"][task], SCHEMA.for_task(task))


@EACH_TASK
@CASES
def test_answer_to_record_scored_one(case, task):
    record = Record.from_json(case["record"])
    found = grounded(record, case["answers"][task], task)
    assert found == task_view(record, task)
    for unit in score([record], [found], tasks=[task]).units.values():
        assert (unit.total.fp, unit.total.fn) == (0, 0)


@EACH_TASK
def test_all_ten_together_score_one(task):
    found = [
        grounded(RECORDS[case["record"]["id"]], case["answers"][task], task) for case in GOLDEN["records"]
    ]
    scores = score(RECORDS.values(), found, tasks=[task])
    assert scores.f1(task) == 1.0
    assert {unit.total.f1 for unit in scores.units.values()} == {1.0}


def test_a_discontinuous_mention_stands_and_counts_as_its_hull():
    record = RECORDS["discontinuous"]
    assert record.entities[0].spans == ((0, 4), (14, 19))
    shown = task_view(record, "ner").entities[0]
    assert (shown.start, shown.end, shown.text, shown.spans) == (0, 19, "John and Mary Smith", ())


@pytest.mark.parametrize("task", ["ner", "eae"])
def test_alignment(task):
    golden = GOLDEN["alignment"]
    pair = ParallelRecord("pair", RECORDS[golden["source"]], RECORDS[golden["target"]])
    tree = alignment_tree(SCHEMA, [pair], task)
    assert tree.prefix == GOLDEN["prefixes"][task]
    assert tree.branches == (Branch(golden[task]["context"], " " + golden[task]["answer"], "pair"),)
    answer = tree.branches[0].answer
    assert grounded(pair.target, answer, task) == task_view(pair.target, task)
