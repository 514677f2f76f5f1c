"""A head with more rows than the tokenizer has ids, as many released ones: none of these is ever written."""

import dataclasses

import jax
import pytest

from kcx_jax.decoding import Constraint, Generator, Live, Wanted
from kcx_jax.models import Transformer, init_params
from kcx_jax.ops.sampling import Sampling
from kcx_jax.prompts import extraction_prefix, sentence_context
from kcx_jax.schema import load_schema, parse_answer

SCHEMA = load_schema(["person", "city"])
HOT = Sampling(temperature=50.0, seed=1)  # all tokens nearly as likely
TEXT = "Ada met 李白."


@pytest.fixture(scope="module")
def padded(tiny):
    """Random weights whose head has twice the tokenizer's rows."""
    size = 2 * tiny.tokenizer.vocab_size
    config = dataclasses.replace(tiny.config, vocab_size=size)
    params = init_params(config, jax.random.key(0))
    return dataclasses.replace(tiny, config=config, params=params, module=Transformer(config))


def test_what_is_drawn_are_tokens(padded):
    answers = Generator(padded, slots=8).generate("x\n", ["a", "b"] * 8, 24, sampling=HOT)
    ids = [token for answer in answers for token in answer.ids]
    assert len(ids) > 100
    assert max(ids) < padded.tokenizer.vocab_size


@pytest.mark.parametrize("level", ["syntax", "schema", "schema+span"])
def test_constrained_answers_parse(padded, level):
    constraint = Constraint(SCHEMA, "ner", level=level)
    given = extraction_prefix(SCHEMA, "ner"), [sentence_context(TEXT)] * 8, 40, constraint, [TEXT] * 8
    answers = Generator(padded, slots=8).generate(*given, sampling=HOT)
    known = {"unknown_class"} if level == "syntax" else set()
    for answer in answers:
        assert max(answer.ids) < padded.tokenizer.vocab_size
        cut = {"truncated", "runaway"} if answer.finish_reason == "length" else set()
        assert {problem.kind for problem in parse_answer(answer.text, SCHEMA).problems} <= known | cut


def test_live_draws_tokens_too(padded):
    told = []
    with Live(Generator(padded, slots=2)) as engine:
        answer = engine.submit(Wanted("x\n", "a", 40, sampling=HOT), told.append).future.result(300)
        assert engine.figures().failed is None
    assert told
    assert answer.text.startswith(told[0])
