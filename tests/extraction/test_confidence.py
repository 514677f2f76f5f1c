"""Scores belong to the item whose tokens they come from."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.extraction.answers import Answer
from kcx_jax.extraction.confidence import item_scores, place_scores
from kcx_jax.extraction.results import entity_key
from kcx_jax.schema import Entity, load_schema, parse_answer, render_answer
from kcx_jax.scoring import ground


class Person(Entity):
    pass


SCHEMA = load_schema(["person"])
NAMES = st.lists(st.text('aé李"\\ ', min_size=1, max_size=5), min_size=1, max_size=5)
CUTS = st.sets(st.integers(1, 80))


def _answer(text, cuts, logprob_of):
    """An answer whose tokens end at `cuts` and at the end; `logprob_of` (start, end) of each."""
    ends = sorted({cut for cut in cuts if 0 < cut < len(text)} | {len(text)})
    starts = [0, *ends[:-1]]
    return Answer(text, tokens=tuple((e, logprob_of(s, e)) for s, e in zip(starts, ends, strict=True)))


@settings(deadline=None)
@given(NAMES, CUTS, st.data())
def test_only_the_tokens_that_touch_an_item_count_for_it(names, cuts, data):
    instances = [Person(name) for name in names]
    text = f" {render_answer(instances)}"
    chosen = data.draw(st.integers(0, len(names) - 1))
    start = len(f" {render_answer(instances[:chosen])}") - 1 + (2 if chosen else 0)
    end = start + len(render_answer([instances[chosen]])) - 2
    assert text[start:end] == render_answer([instances[chosen]])[1:-1]
    sure = _answer(text, cuts, lambda s, e: math.log(0.5) if s < end and e > start else 0.0)
    scores = item_scores(sure, instances)
    touching = sum(1 for _, logprob in sure.tokens if logprob)
    assert scores[chosen] == pytest.approx(0.5**touching)
    assert all(0.5**touching <= score <= 1.0 for score in scores)
    exact = _answer(text, {start, end}, lambda s, e: math.log(0.5) if s == start else 0.0)
    scores = item_scores(exact, instances)
    assert scores[:chosen] + scores[chosen + 1 :] == [1.0] * (len(names) - 1)


@settings(deadline=None)
@given(NAMES, CUTS, st.data())
def test_whole_items_of_an_answer_that_was_cut_off_have_the_scores_of_the_whole(names, cuts, data):
    instances = [Person(name) for name in names]
    whole = _answer(f" {render_answer(instances)}", cuts, lambda s, e: -0.1 * (e % 7))
    cut = data.draw(st.integers(0, len(whole.tokens)))
    tokens = whole.tokens[:cut]
    text = whole.text[: tokens[-1][0] if tokens else 0]
    kept = parse_answer(text, SCHEMA).instances
    assert render_answer(kept) == render_answer(instances[: len(kept)])
    scores = item_scores(Answer(text, "length", tokens=tokens), kept)
    assert scores == pytest.approx(item_scores(whole, instances)[: len(kept)])


def test_items_have_scores_up_to_the_first_that_is_not_in_its_place():
    kept = [Person("Ada"), Person("Bob"), Person("Eve")]
    for text in (
        ' [Person("Ada"), Foo("x"), Person("Bob"), Person("Eve")]',
        " [Person(\"Ada\"), Person('Bob')]",
    ):
        assert item_scores(_answer(text, [], lambda s, e: -1.0), kept) == [math.exp(-1.0), None, None]


def test_no_score_without_probabilities_or_for_another_spelling():
    instances = [Person("Ada")]
    assert item_scores(Answer(' [Person("Ada")]'), instances) == [None]
    odd = " [Person('Ada')]"
    assert item_scores(_answer(odd, [], lambda s, e: 0.0), instances) == [None]
    assert item_scores(Answer("[]"), []) == []


def test_equal_items_get_their_scores_in_the_order_of_the_text():
    text = "Bob saw Ada, Ada saw Bob, cafe\u0301."
    instances = [Person("Ada"), Person("Nobody"), Person("Ada"), Person("Bob"), Person("café")]
    record = ground(instances, text, task="ner").record
    scores = place_scores("ner", record, instances, [0.1, 0.2, 0.3, 0.4, 0.5])
    by_text = [(m.text, scores.get(entity_key(m))) for m in record.entities]
    assert [score for name, score in by_text if name == "Ada"] == [0.1, 0.3]
    assert [score for name, score in by_text if name == "Bob"] == [0.4]
    assert by_text[-1] == ("cafe\u0301", 0.5), "found after normalisation, it keeps its score"
