"""`kcx bench decode --corpora`: real sentences, and gold answers written under the constraint by random weights."""

from dataclasses import replace

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache
from typer.testing import CliRunner

from kcx_jax.bench import beside_decoders, own_answers
from kcx_jax.bench.beside_decoders import led_lines
from kcx_jax.bench.gold_answers import CASES, gold_bench
from kcx_jax.bench.own_answers import by_kcx, memory_of_many
from kcx_jax.cli.app import app
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.models import ModelConfig
from kcx_jax.schema import quote
from kcx_jax.tokenizer import load_tokenizer

SENTENCES = 6


@pytest.fixture(scope="module")
def tokenizer(shared):
    return shared / "fixtures/baichuan2_tokenizer"


@pytest.fixture(scope="module")
def bench(shared, tokenizer):
    """WikiNEuRal, by a tiny model with the released vocabulary."""
    made = gold_bench(shared / "data", "wikineural-en", tokenizer, SENTENCES, rows=2)
    tiny = ModelConfig(made.config.vocab_size, 16, 32, 2, 2, family="llama", norm_head=False)
    return replace(made, config=tiny)


@pytest.fixture
def folder(bench, tmp_path):
    before = jax.config.jax_compilation_cache_dir
    beside_decoders._write(tmp_path, bench.config, bench.work)
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.mark.parametrize("case", CASES)
def test_work_is_a_long_schema_with_sentences_and_their_answers(shared, tokenizer, case):
    bench = gold_bench(shared / "data", case, tokenizer, SENTENCES, rows=2)
    pieces, work = load_tokenizer(tokenizer), bench.work
    assert 1024 <= len(work.prefix) < 1500
    assert pieces.decode(work.prefix).startswith("class ")
    for sentence, context, gold in zip(bench.constrained.sentences, work.contexts, work.gold, strict=True):
        assert pieces.decode(context) == f"sentence = {quote(sentence)}\nresults ="
        assert gold[-1] == pieces.eos_id
        assert pieces.decode(gold[:-1]).startswith(" [")
        assert len(gold) <= work.new_tokens


def test_what_is_not_there_is_refused(shared, tokenizer, tmp_path):
    with pytest.raises(UsageError, match="there are wikineural-en, crossner-science"):
        gold_bench(shared / "data", "conll", tokenizer, 1, 1)
    with pytest.raises(UsageError, match=r"no file \*\*/wikineural/en/val"):
        gold_bench(tmp_path, "wikineural-en", tokenizer, 1, 1)
    with pytest.raises(UsageError, match="crossner-science has 543 sentences"):
        gold_bench(shared / "data", "crossner-science", tokenizer, 544, 1)
    result = CliRunner().invoke(app, ["bench", "decode", "--corpora", str(tmp_path)])
    assert "add --tokenizer DIR" in str(result.exception)


def test_random_weights_write_gold_answers_under_the_constraint(bench, folder):
    found = by_kcx(folder, bench.config, bench.constrained, 1)
    assert found.answers == bench.work.gold
    figures = found.figures
    mean = sum(map(len, bench.work.gold)) / SENTENCES
    assert 0 < figures["forwards_per_answer"] < mean - 1  # drafts save some
    assert 0 < figures["accepted_tokens"] <= figures["drafted_tokens"]
    written = figures["forwards_per_answer"] * SENTENCES + figures["accepted_tokens"] + SENTENCES
    # The first token of each comes with its context, and no step reads an end whose bracket was not drafted.
    assert 0 <= sum(map(len, bench.work.gold)) - written <= SENTENCES
    assert 0 < figures["table_share"] < 1
    assert figures["mask_share"] < 1
    assert f"{figures['accepted_tokens']} of {figures['drafted_tokens']} drafted" in led_lines(figures)[0]


def test_answers_that_are_not_gold_are_refused(bench):
    answers = [list(ids) for ids in bench.work.gold]
    answers[3][0] += 1
    with pytest.raises(KcxError, match="kcx writes other tokens: 5 of 6 answers are the gold ones"):
        beside_decoders._refuse_other_tokens(None, bench, {"kcx": answers})


def test_memory_is_looked_at_early_and_at_the_end(bench, folder, monkeypatch):
    monkeypatch.setattr(own_answers, "CHUNK", 4)
    monkeypatch.setattr(own_answers, "EARLY", 8)
    found = memory_of_many(folder, bench.config, bench.constrained, 10)
    assert found["sentences_for_memory"] == 10
    assert found["anonymous_bytes_early"] > 0
    assert found["anonymous_bytes_at_the_end"] > 0
    assert not led_lines(found)
