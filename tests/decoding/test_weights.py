"""The engine with what a base and an adapter may be held as."""

import pytest

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.decoding import Constraint, Generator
from kcx_jax.prompts.extraction import extraction_prefix, sentence_context
from kcx_jax.schema import load_schema, parse_answer

SCHEMA = load_schema("class Person(Entity): ...\nclass City(Entity): ...")
TEXTS = ["Ada was born in London.", "李白生于碎叶城，李白。", "", 'Mr. Smith said: "no"', "aaaa aaaa"]
PREFIX, CONTEXTS = extraction_prefix(SCHEMA, "ner"), [sentence_context(text) for text in TEXTS]


@pytest.mark.parametrize(("held", "adapted"), [("int8", True), ("fp8", False)])
def test_a_base_in_8_bits_writes_what_the_plain_loop_writes(shared, held, adapted):
    folder = shared / "fixtures/baichuan2_tiny"
    adapter = folder / "adapter" if adapted else None
    model = load_pretrained(folder / "base_fp32", adapter, "float32", base_dtype=held)
    made = Generator(model, slots=2).generate(PREFIX, CONTEXTS, 12)
    rows = [model.tokenizer.encode(PREFIX + context) for context in CONTEXTS]
    longest = max(map(len, rows))
    padded = [row + [0] * (longest - len(row)) for row in rows]
    plain = model.generate(padded, 12, lengths=list(map(len, rows)))
    for answer, row in zip(made, plain.tolist(), strict=True):
        end = [model.tokenizer.eos_id] if answer.finish_reason == "stop" else []
        assert row[: len(answer.ids) + len(end)] == [*answer.ids, *end]
    assert len({answer.ids for answer in made}) > 1


def test_constrained_answers_of_a_base_in_8_bits_parse(shared):
    base = shared / "fixtures/baichuan2_tiny/base_fp32"
    model = load_pretrained(base, dtype="float32", base_dtype="int8")
    made = Generator(model, slots=2).generate(PREFIX, CONTEXTS, 64, Constraint(SCHEMA, "ner"), TEXTS)
    ended = [answer for answer in made if answer.finish_reason == "stop"]
    assert ended
    for answer in ended:
        assert not parse_answer(answer.text, SCHEMA).problems


@pytest.mark.parametrize("constrained", [True, False])
def test_an_adapter_beside_the_base_writes_what_it_writes_merged(tiny_adapted, constrained):
    beside, merged = (
        Generator(model, slots=2).generate(
            PREFIX, CONTEXTS, 24, Constraint(SCHEMA, "ner") if constrained else None, TEXTS
        )
        for model in (tiny_adapted, tiny_adapted.merged())
    )
    assert [answer.ids for answer in beside] == [answer.ids for answer in merged]
    for one, other in zip(beside, merged, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
