"""Answers of a real extractor against the scripted chat server, from text to score."""

import pytest

from kcx_jax.demo.corpus import generate, schema
from kcx_jax.evaluation import answer_records, score_table
from kcx_jax.extraction import Extractor
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import TASKS, render_answer
from kcx_jax.testing.llm_server import ScriptedServer

ITEMS = generate(11, 60, "heldout")
CHOSEN = [item for item in ITEMS if item["en"].events][:4] + [item for item in ITEMS if item["en"].relations][
    :4
]
GOLD = {language: [item[language] for item in CHOSEN] for language in ("en", "zh")}


def right_answers(records):
    return {
        record.text: {task: render_answer(answer_instances(record, schema(), task)) for task in TASKS}
        for record in records
    }


@pytest.mark.parametrize("language", GOLD)
def test_right_answers_score_one_in_every_task(language):
    records = GOLD[language]
    with ScriptedServer(right_answers(records)) as server:
        extractor = Extractor.from_openai("m", server.base_url, "key")
        answers = {task: answer_records(extractor, records, schema(), task) for task in TASKS}
    table = score_table(GOLD, {"chat": {language: answers}})
    assert {task: cell["f1"] for task, cell in table["chat"][language].items()} == dict.fromkeys(TASKS, 1.0)
    for task in TASKS:
        assert [one.id for one in answers[task]] == [record.id for record in records]
        assert [one.record.language for one in answers[task]] == [language] * len(records)
        assert [one.answer.strip() for one in answers[task]] == [
            right_answers(records)[record.text][task] for record in records
        ]


def test_what_cannot_be_read_or_grounded_counts_against_the_system():
    record = next(record for record in GOLD["en"] if record.entities)
    answer = '[Person("Nobody At All"), Unknown("x"), City("' + record.text[:3]
    with ScriptedServer({record.text: answer}) as server:
        extractor = Extractor.from_openai("m", server.base_url, "key")
        (one,) = answer_records(extractor, [record], schema(), "ner")
    assert one.answer == answer
    cell = score_table({"en": [record]}, {"chat": {"en": {"ner": [one]}}})["chat"]["en"]["ner"]
    assert (cell["tp"], cell["fp"], cell["flagged"]) == (0, 2, 1)
