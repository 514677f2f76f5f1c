"""The same samples in JSON: read back, they are the gold records; the samples are those of the code form."""

import pytest

from kcx_jax.demo.corpus import generate, schema
from kcx_jax.demo.replication.json_form import json_tree
from kcx_jax.demo.tuning import extraction_trees
from kcx_jax.prompts import extraction_tree
from kcx_jax.schema import TASKS
from kcx_jax.scoring import score
from kcx_jax.scoring.raw import grounded_answer, parse_raw
from kcx_jax.scoring.raw.claims import Labels


@pytest.fixture(scope="module")
def records():
    return [item["en"] for item in generate(2, 150, "train")]


@pytest.mark.parametrize("task", TASKS)
def test_an_answer_reads_back_as_the_record(records, task):
    tree = json_tree(extraction_tree(schema(), records, task), records, task)
    labels = Labels(schema())
    read = [
        grounded_answer(parse_raw(branch.answer, "chat", task, labels, schema(), record.text), record, task)
        for branch, record in zip(tree.branches, records, strict=True)
    ]
    scores = score(records, read, [task])
    assert scores.units[task].total.f1 == 1
    assert not scores.flagged[task]


def test_samples_are_those_of_the_code_form(records):
    for code, task in zip(extraction_trees(records), TASKS, strict=True):
        tree = json_tree(code, records, task)
        assert [branch.record_id for branch in tree.branches] == [b.record_id for b in code.branches]
        assert all(branch.context.endswith("Reply:") for branch in tree.branches)
        assert tree.prefix.endswith("\n")
        for concept in code.schema.concepts:  # of the same classes, but for those inside others
            assert concept.kind == "entity" or f"- {concept.name} (" in tree.prefix or task == "ed"
