"""A beam search finds what a search by hand finds, and draws come the likeliest first."""

import dataclasses

import numpy as np
import pytest

from kcx_jax.decoding import Constraint, ContextTooLongError, Generator, Stops
from kcx_jax.errors import UsageError
from kcx_jax.ops.sampling import Sampling
from kcx_jax.prompts.extraction import extraction_prefix, sentence_context
from kcx_jax.schema import load_schema, parse_answer

SCHEMA = load_schema("class Person(Entity): ...\nclass City(Entity): ...")
TEXTS = ["Ada was born in London.", "李白生于碎叶城。", ""]
PREFIX = 'class Person(Entity): ...\n"""x"""\n'
NO_STOPS = Stops()
WIDTH = 64  # of the oracle's rows


def _by_hand(model, ids, beams, most, stops=NO_STOPS):
    """Every step all beams with one more token, and those that ended as they are; through plain forwards."""
    ends_by = {model.config.eos_id, *stops.ids}
    kept = [((), 0.0, False)]
    for _ in range(most):
        grown = []
        for written, total, ended in kept:
            if ended:
                grown.append((written, total, True))
                continue
            row = np.zeros((1, WIDTH), np.int32)
            row[0, : len(ids) + len(written)] = [*ids, *written]
            length = len(ids) + len(written)
            scores = np.asarray(model.logits(row, [length]))[0, length - 1].astype(np.float64)
            if len(written) < stops.min_tokens:
                scores[list(ends_by)] = -np.inf
            scores -= np.logaddexp.reduce(scores)
            for token in np.argsort(-scores)[: beams + 1].tolist():
                ends = token in ends_by
                grown.append((written if ends else (*written, token), total + scores[token], ends))
        kept = sorted(grown, key=lambda each: -each[1])[:beams]
    return kept


def test_a_search_finds_what_a_search_by_hand_finds(tiny):
    contexts = ["Ada", "李白 was"]
    found = Generator(tiny, slots=8).n_best(PREFIX, contexts, 3, 5)
    for context, answers in zip(contexts, found, strict=True):
        want = _by_hand(tiny, tiny.tokenizer.encode(PREFIX + context), 3, 5)
        assert [answer.ids for answer in answers] == [written for written, _, _ in want]
        totals = [answer.total for answer in answers]
        np.testing.assert_allclose(totals, [total for _, total, _ in want], atol=1e-4)


def test_a_search_stops_by_ids_and_not_before_its_least_number_of_tokens(tiny):
    generator = Generator(tiny, slots=8)
    plain = [answers[0].ids for answers in generator.n_best(PREFIX, ["Ada", "李白 was"], 3, 5)]
    ended = set()
    for least in (0, 2):
        stops = Stops(ids=(plain[0][1], plain[1][3]), min_tokens=least)
        found = generator.n_best(PREFIX, ["Ada", "李白 was"], 3, 5, stops=stops)
        for context, answers in zip(["Ada", "李白 was"], found, strict=True):
            want = _by_hand(tiny, tiny.tokenizer.encode(PREFIX + context), 3, 5, stops)
            assert [answer.ids for answer in answers] == [written for written, _, _ in want]
            assert [answer.finish_reason == "stop" for answer in answers] == [end for *_, end in want]
            ended |= {len(written) for written, _, end in want if end}
    assert min(ended) < 2 <= max(ended)


def test_a_beam_of_one_is_greedy_and_others_are_answers_too(tiny):
    generator, constraint = Generator(tiny, slots=8), Constraint(SCHEMA, "ner")
    prefix, contexts = extraction_prefix(SCHEMA, "ner"), [sentence_context(text) for text in TEXTS]
    greedy = generator.generate(prefix, contexts, 16, constraint, TEXTS)
    single = generator.n_best(prefix, contexts, 1, 16, constraint, TEXTS)
    assert [[answer.ids for answer in each] for each in single] == [[answer.ids] for answer in greedy]
    for text, answers in zip(
        TEXTS, generator.n_best(prefix, contexts, 4, 16, constraint, TEXTS), strict=True
    ):
        assert len({answer.ids for answer in answers}) == len(answers) == (4 if text else 1)
        for answer in answers:
            if answer.finish_reason == "stop":
                assert not parse_answer(answer.text, SCHEMA).problems


@pytest.mark.parametrize("beams", [1, 2])
def test_a_search_reads_no_more_contexts_at_once_than_its_caches_hold(tiny, monkeypatch, beams):
    """A search has no queue: whatever is given to it at once takes its room at once."""
    held = []

    def nothing(model, network, terms, requests, shape, engine, beams):
        held.append((len(requests) * beams * (shape.width + terms.most), shape.places, len(requests)))
        return iter([[]] * len(requests))

    monkeypatch.setattr("kcx_jax.decoding.generator.best_answers", nothing)
    monkeypatch.setattr("kcx_jax.decoding.generator.CACHED_TOKENS", 1024)
    for count in (1, 4, 9):
        contexts = [f"{number} " * number for number in range(1, count + 1)]
        assert Generator(tiny, slots=4).n_best(PREFIX, contexts, beams, 64) == [[]] * count
    assert all(tokens <= 1024 and many <= places <= 4 for tokens, places, many in held)
    assert max(many for *_, many in held) > 1


def test_answers_of_a_search_read_differently(tiny):
    """Where any spelling is allowed, some of its beams are one text in several."""
    generator, constraint = Generator(tiny, slots=8), Constraint(SCHEMA, "ner", canonical=False)
    prefix, contexts = extraction_prefix(SCHEMA, "ner"), [sentence_context(text) for text in TEXTS]
    found = generator.n_best(prefix, contexts, 4, 16, constraint, TEXTS)
    for answers in found:
        assert len({(answer.text, answer.finish_reason) for answer in answers}) == len(answers)
        assert answers == sorted(answers, key=lambda answer: -answer.total)
    assert len(found[-1]) == 1, "in an empty text there is nothing to find"


def _likelihood(model, ids):
    """The sum of the log-probabilities of what follows PREFIX and "Ada", by one plain forward."""
    before = model.tokenizer.encode(PREFIX + "Ada")
    row = np.zeros((1, WIDTH), np.int32)
    row[0, : len(before) + len(ids)] = [*before, *ids]
    scores = np.asarray(model.logits(row, [len(before) + len(ids)]))[0].astype(np.float64)
    scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return sum(scores[len(before) + place - 1, token] for place, token in enumerate(ids))


def test_the_end_of_an_answer_counts_where_draws_are_ordered(tiny):
    """An end token that is drawn is as unlikely as others, and an answer that is nothing else no certain one."""
    generator = Generator(tiny, slots=8)
    (plain,) = generator.generate(PREFIX, ["Ada"], 6, sampling=Sampling(temperature=1.0, seed=3))
    eos_id = plain.ids[1]
    config = dataclasses.replace(tiny.config, eos_id=eos_id)
    model = dataclasses.replace(tiny, config=config, module=dataclasses.replace(tiny.module, config=config))
    bias = Sampling(temperature=1.0, seed=3, logit_bias=((eos_id, 6.0),))
    (answers,) = Generator(model, slots=8).n_best(PREFIX, ["Ada"], 12, 6, sampling=bias)
    assert {answer.finish_reason for answer in answers} == {"stop", "length"}
    totals = [answer.total for answer in answers]
    want = [
        _likelihood(tiny, [*answer.ids, *([eos_id] if answer.finish_reason == "stop" else [])])
        for answer in answers
    ]
    np.testing.assert_allclose(totals, want, atol=1e-3)
    assert totals == sorted(totals, reverse=True)


def test_a_context_without_room_is_refused_by_its_own_number(tiny):
    warm = Sampling(temperature=1.0)
    with pytest.raises(ContextTooLongError, match="context 1:") as refused:
        Generator(tiny).n_best("x\n", ["a", "b " * 5000], 3, 4, sampling=warm)
    assert refused.value.index == 1
    with pytest.raises(UsageError, match="count"):
        Generator(tiny).n_best("x\n", ["a"], 0, 4, sampling=warm)


def test_draws_come_the_likeliest_first_and_follow_the_seed(tiny):
    generator = Generator(tiny, slots=8)
    warm = Sampling(temperature=1.0, seed=3)
    contexts = ["Ada", "x"]
    found = generator.n_best(PREFIX, contexts, 5, 6, sampling=warm)
    assert found == generator.n_best(PREFIX, contexts, 5, 6, sampling=warm)
    stops = Stops(texts=(found[0][0].text[2:4],))
    stopped = generator.n_best(PREFIX, contexts, 5, 6, sampling=warm, stops=stops)[0]
    assert any(answer.finish_reason == "stop" for answer in stopped)
    assert not any(stops.texts[0] in answer.text for answer in stopped)
    for answers in found:
        totals = [answer.total for answer in answers]
        assert totals == sorted(totals, reverse=True)
        assert len({answer.ids for answer in answers}) > 2


def test_a_search_has_no_penalties_and_no_stop_texts(tiny):
    with pytest.raises(UsageError, match="no penalties"):
        Generator(tiny).n_best(PREFIX, ["a"], 2, 4, sampling=Sampling(repetition_penalty=1.2))
    with pytest.raises(UsageError, match="no stop texts"):
        Generator(tiny).n_best(PREFIX, ["a"], 2, 4, stops=Stops(texts=("\n",)))
