"""Answers of a real extractor against the scripted chat server, from text to score."""

from dataclasses import replace

import pytest

from kcx_jax.corpora import Mention, Record, RelationLink
from kcx_jax.demo.corpus import generate, schema
from kcx_jax.errors import UsageError
from kcx_jax.evaluation import answer_records, score_table
from kcx_jax.extraction import Extractor
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import TASKS, load_schema, render_answer
from kcx_jax.testing.llm_server import ScriptedServer

from .conftest import SCHEMA

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


@pytest.mark.parametrize(
    ("length", "meta", "pair"), [(1, ["e0", "e1"], True), (300, ["e0", "e1"], True), (1, "en-es", False)]
)
def test_a_text_is_read_whole_for_its_pair_and_what_is_no_pair_is_nobodys_matter(length, meta, pair):
    mentions = Mention("e0", "Person", 0, 3, "Ada"), Mention("e1", "Person", 10, 13, "Bob")
    links = (RelationLink("Knows", "e0", "e1"),)
    asked = {"pair": {"mentions": meta} if pair else meta}
    record = Record("1", "en", "Ada knows Bob. " * length, mentions, links, meta=asked)
    with ScriptedServer({record.text: '[Knows(Person("Ada"), Person("Bob"))]'}) as server:
        extractor = Extractor.from_openai("m", server.base_url, "key")
        (one,) = answer_records(extractor, [record], load_schema(SCHEMA), "re", pair)
        assert [(link.type, link.head, link.tail) for link in one.record.relations] == [("Knows", "e0", "e1")]
        if pair:
            with pytest.raises(UsageError, match=r"meta\.pair"):
                answer_records(extractor, [replace(record, meta={})], load_schema(SCHEMA), "re", pair)
