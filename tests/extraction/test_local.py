"""A checkpoint folder answers through the same door: garbage is flagged, scores are probabilities."""

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import get_args, get_type_hints

import pytest

from kcx_jax.cli.constraint import Constraint
from kcx_jax.decoding import Generated
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction import Extractor
from kcx_jax.extraction.confidence import item_scores
from kcx_jax.extraction.local import LEVELS, ModelAnswers, answer_of
from kcx_jax.schema import load_schema
from kcx_jax.tokenizer import load_tokenizer

Person = load_schema(["Person"]).classes["Person"]
TEXT = "Ada met Ada in 碎叶城."
ANSWER = ' [Person("Ada"), Person("Ada"), City("碎叶城")]'


@pytest.fixture(scope="module")
def random_model(shared):
    """Random weights: what it writes is no code."""
    base = shared / "fixtures/baichuan2_tiny/base_fp32"
    return Extractor.from_pretrained(base, max_new_tokens=8, constraint="off")


def test_every_answer_of_random_weights_is_flagged(random_model):
    results = list(random_model.extract([TEXT, "李白"], ["person", "city"]))
    assert [result.text for result in results] == [TEXT, "李白"]
    for result in results:
        assert result.problems[0].kind == "length"
        assert result.answers["ner"], "the answer is kept as it was written"
        assert result.entities == ()


def test_what_random_weights_write_under_the_constraint_stands_in_the_text(shared):
    base = shared / "fixtures/baichuan2_tiny/base_fp32"
    texts = [TEXT, 'He said "no\\yes" to 李白.', "a", "", "\t\n😀 e\u0301"] * 3
    found = 0
    for result in Extractor.from_pretrained(base, max_new_tokens=40).extract(texts, ["person", "city"]):
        assert {problem.kind for problem in result.problems} <= {"length", "truncated", "runaway"}
        found += len(result.entities)
        assert all(result.text[each.start : each.end] == each.text for each in result.entities)
        assert result.text or result.answers["ner"].strip() == "[]"
    assert found


CUT = {"length", "truncated", "runaway"}


@pytest.mark.parametrize(
    ("level", "found", "possible"),
    [
        ("syntax", {"unknown_class"}, CUT | {"unresolved", "unknown_class"}),
        ("schema", {"unresolved"}, CUT | {"unresolved"}),
        ("schema+span", set(), CUT),
    ],
)
def test_a_level_leaves_out_what_it_says(shared, level, found, possible):
    base = shared / "fixtures/baichuan2_tiny/base_fp32"
    texts = [TEXT, "He was there.", "李白", "", "a"]
    kinds = set()
    for result in Extractor.from_pretrained(base, max_new_tokens=40, constraint=level).extract(
        texts, ["person", "city"]
    ):
        kinds |= {problem.kind for problem in result.problems}
    assert found <= kinds <= possible


def test_the_levels_are_the_same_wherever_they_are_named():
    named = get_type_hints(Extractor.from_pretrained)["constraint"]
    assert get_args(named) == LEVELS == tuple(Constraint)
    with pytest.raises(UsageError, match="constraint is 'spans': one of off, syntax, schema, schema"):
        ModelAnswers(SimpleNamespace(), 8, "spans")


def test_a_text_of_more_tokens_than_the_model_has_positions_is_read_in_windows(random_model):
    texts = ["short", "Ada " * 5000]
    short, long = random_model.extract(texts, ["person"], window=None)
    assert {problem.window for problem in short.problems} == {None}
    seen = sorted({problem.window for problem in long.problems})  # random weights: all are cut off
    assert (seen[0][0], seen[-1][1]) == (0, len(texts[1]))
    assert all(following[0] < end <= following[1] for (_, end), following in pairwise(seen))
    assert len(seen) < 20, "windows are as long as the model has room"


@pytest.mark.parametrize("error", [ValueError, KcxError])
def test_a_reader_that_fails_loses_no_text_before_it(random_model, error):
    def texts():
        yield "Ada"
        yield "Bob"
        raise error("mine")

    results = random_model.extract(texts(), ["person"])
    assert [next(results).text, next(results).text] == ["Ada", "Bob"]
    with pytest.raises(error, match="mine"):
        next(results)


def test_every_byte_of_a_character_is_of_its_item(shared):
    tokenizer = load_tokenizer(shared / "fixtures/baichuan2_tiny/base_fp32")
    answer = ' [Person("😀")]'
    ids = tokenizer.encode(answer)
    assert any("\ufffd" in tokenizer.decode(ids[:number]) for number in range(len(ids))), (
        "bytes of a character"
    )
    generated = Generated(answer, tuple(ids), "stop", (-1.0,) * len(ids))
    (score,) = item_scores(answer_of(generated, tokenizer), [Person("😀")])
    # By hand: every token but the first bracket and the last, unless these hold a part of the item.
    around = [token for token in ids if tokenizer.decode([token]).strip() in ("", "[", "]")]
    assert score == pytest.approx(math.exp(len(around) - len(ids)))


def test_an_items_score_is_the_probability_of_its_tokens(shared):
    tokenizer = load_tokenizer(shared / "fixtures/baichuan2_tiny/base_fp32")
    ids = tokenizer.encode(ANSWER)
    ends = [len(tokenizer.decode(ids[: number + 1])) for number in range(len(ids))]
    second, third = ANSWER.index(", P"), ANSWER.index(", C")
    # Tokens up to the second item are sure, those up to the third half as sure.
    logprobs = tuple(
        0.0 if end <= second + 1 else math.log(0.5) if end <= third + 1 else -2.0 for end in ends
    )

    def generate(prefix, contexts, max_new_tokens, constraint, sentences):
        return [Generated(ANSWER, tuple(ids), "stop", logprobs) for _ in contexts]

    model = SimpleNamespace(tokenizer=tokenizer, config=SimpleNamespace(max_positions=4096))
    generator = SimpleNamespace(generate=generate, model=model)
    (result,) = Extractor(ModelAnswers(generator, 64)).extract(TEXT, ["person", "city"])
    assert result.problems == ()
    assert [(e.text, e.start) for e in result.entities] == [("Ada", 0), ("Ada", 8), ("碎叶城", 15)]
    first, again, city = (entity.score for entity in result.entities)
    assert first == pytest.approx(1.0)
    half, less = (logprobs.count(each) for each in (math.log(0.5), -2.0))
    assert half > 3
    assert less > 3
    # The bracket behind the last item, and what stands between two, is no item's; a token may reach into the next.
    assert 0.5**half * 0.999 < again < 0.5 ** (half - 3)
    assert math.exp(-2.0 * less) * 0.999 < city < math.exp(-2.0 * (less - 4))
