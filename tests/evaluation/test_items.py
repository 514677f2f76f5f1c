"""Items told right from wrong: as many as the metric counts, whatever was done to the prediction."""

from dataclasses import replace
from random import Random

import pytest

from kcx_jax.corpora import Argument, Record
from kcx_jax.demo.corpus import generate
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.items import compare
from kcx_jax.schema import TASKS
from kcx_jax.scoring import error_counts, score, task_view

PARTLY = ("wrong_type", "wrong_boundary", "wrong_both")
GOLD = [item[language] for language in ("en", "zh") for item in generate(7, 40, "heldout")[::1]]


def disturbed(record: Record, rng: Random) -> Record:
    """Drop, double and retype some of what a view of a record shows."""

    def some(items, retype):
        out = []
        for item in items or ():
            draw = rng.random()
            out += (
                [] if draw < 0.2 else [item, item] if draw < 0.3 else [retype(item)] if draw < 0.4 else [item]
            )
        return tuple(out)

    relations = some(record.relations, lambda r: replace(r, type="WorksFor"))
    events = some(record.events, lambda e: replace(e, type="Attack", arguments=e.arguments[:1]))
    if record.relations is None and record.events is None:
        entities = some(record.entities, lambda m: replace(m, type="Award"))
        entities = tuple(replace(mention, id=f"m{i}") for i, mention in enumerate(entities))
        return replace(record, entities=entities)
    return replace(
        record,
        relations=None if record.relations is None else relations,
        events=None if record.events is None else events,
    )


@pytest.mark.parametrize("task", TASKS)
def test_wrong_and_missed_items_are_as_many_as_the_metric_counts(task):
    rng = Random(task)
    seen = {True: 0, False: 0}
    for gold in GOLD:
        predicted = disturbed(task_view(gold, task), rng)
        meta = (
            {"unresolved": [{"task": task, "type": "City", "text": "nowhere"}]} if rng.random() < 0.2 else {}
        )
        predicted = replace(predicted, meta=meta)
        counts = score([gold], [predicted], [task]).units[task].total
        result = compare(gold, predicted, task)
        kinds = error_counts(result.errors)
        assert len(result.wrong) + kinds["hallucinated"] == counts.fp
        assert sum(kinds[kind] for kind in PARTLY) + kinds["missed"] == counts.fn
        assert kinds["right"] == counts.tp
        assert result.right == (counts.fp == counts.fn == 0)
        seen[result.right] += 1
    assert min(seen.values()) > 0


@pytest.mark.parametrize("task", TASKS)
def test_a_perfect_prediction_is_right(task):
    for gold in GOLD[:10]:
        result = compare(gold, replace(task_view(gold, task)), task)
        assert result.right
        assert not result.wrong
        assert not result.unread
        assert {error.kind for error in result.errors} <= {"right"}


def test_items_are_named_in_words():
    gold = next(record for record in GOLD if record.events and record.events[0].arguments)
    predicted = replace(gold, events=())
    (event, *_) = gold.events
    mentions = {mention.id: mention.text for mention in gold.entities}

    def words(argument: Argument) -> str | None:
        return mentions[argument.entity] if argument.entity else argument.text

    errors = compare(gold, predicted, "eae").errors
    missed = {(error.gold.type, error.gold.text) for error in errors if error.kind == "missed"}
    assert {(f"{event.type}.{a.role}", words(a)) for a in event.arguments} <= missed


def test_what_was_lost_on_the_way_is_told():
    gold = GOLD[0]
    problems = [
        {"task": "ner", "kind": "unknown_class", "detail": "no class Foo", "position": 3},
        {"task": "ner", "kind": "cut_off", "detail": "no end", "position": 9},
    ]
    unresolved = [{"task": "re", "type": "BirthPlace", "text": "x -> y"}]
    predicted = replace(gold, meta={"parse_problems": problems, "unresolved": unresolved})
    result = compare(gold, predicted, "ner")
    assert result.unread == ("cut off: no end",)
    assert [error.predicted.text for error in result.errors if error.kind == "unknown_class"] == [
        "no class Foo"
    ]
    assert not result.right
    assert not result.wrong


def test_another_text_is_refused():
    with pytest.raises(KcxError, match="not the gold text"):
        compare(GOLD[0], replace(GOLD[0], text=GOLD[0].text + "!"), "ner")
