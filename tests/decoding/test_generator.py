"""Answers do not depend on batching, slots or where the prefix ends, and equal the goldens."""

import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.decoding import Constraint, ContextTooLongError, Generator, Stops
from kcx_jax.decoding.prefixes import Prefix, PrefixCache
from kcx_jax.errors import UsageError
from kcx_jax.ops.layouts import KV
from kcx_jax.ops.sampling import Sampling
from kcx_jax.schema import load_schema

NEW = 24
WIDTH = 160  # of the oracle's rows: one shape, one compilation


def _with(model, **changes):
    """The same model with another end token or number of positions."""
    config = dataclasses.replace(model.config, **changes)
    module = dataclasses.replace(model.module, config=config)
    return dataclasses.replace(model, config=config, module=module)


def _contexts(count, seed=0, vocabulary=2304, longest=70):
    rng = np.random.default_rng(seed)
    return [rng.integers(3, vocabulary, rng.integers(1, longest)).tolist() for _ in range(count)]


def _plain_greedy(model, ids, steps, eos_id):
    """An independent oracle: the whole sequence through a plain forward, once a token."""
    ids, new = list(ids), []
    for _ in range(steps):
        row = np.zeros((1, WIDTH), np.int32)
        row[0, : len(ids)] = ids
        logits_V = np.asarray(model.logits(row, [len(ids)]))[0, len(ids) - 1]
        token = int(logits_V.argmax())
        if token == eos_id:
            break
        new.append((token, float(logits_V[token] - np.logaddexp.reduce(logits_V.astype(np.float64)))))
        ids.append(token)
    return new


@pytest.mark.parametrize("cut", [0, 1, -1])
@pytest.mark.parametrize(("name", "which"), [("tiny", "greedy"), ("tiny_adapted", "greedy_adapter")])
def test_greedy_ids_equal_the_goldens_wherever_the_prefix_ends(request, golden, name, which, cut):
    generator = Generator(request.getfixturevalue(name))
    rows = [row for row in golden[which] if cut == 0 or len(row["prompt_ids"]) > 1]
    for row in rows:
        prompt = row["prompt_ids"]
        (made,) = generator.generate_ids(prompt[:cut] if cut else [], [prompt[cut:] if cut else prompt], NEW)
        assert list(made.ids) == row["new_ids"]
        assert made.finish_reason == "length"


def test_an_end_token_ends_its_row_only(tiny, golden):
    want = golden["batch_with_eos"]
    prompts = {row["prompt"]: row["prompt_ids"] for row in golden["greedy"]}
    generator = Generator(_with(tiny, eos_id=want["eos_token_id"]))
    made = generator.generate_ids([], [prompts[name] for name in want["prompts"]], NEW)
    for got, row in zip(made, want["new_ids"], strict=True):
        end = row.index(want["eos_token_id"]) if want["eos_token_id"] in row else NEW
        assert list(got.ids) == row[:end]
        assert got.finish_reason == ("length" if end == NEW else "stop")
    assert {got.finish_reason for got in made} == {"stop", "length"}, "the golden has both kinds of rows"


def test_every_end_token_of_the_model_ends_an_answer(tiny, golden):
    """Chat models have several in generation_config.json; under a constraint only the tokenizer's is one."""
    rows = golden["greedy"]
    prompts, plain = [row["prompt_ids"] for row in rows], [row["new_ids"] for row in rows]
    ends = {plain[0][3], plain[1][5]}
    own = dataclasses.replace(tiny, generation={"eos_token_id": [tiny.config.eos_id, *sorted(ends), 10**6]})
    made = Generator(own).generate_ids([], prompts, NEW)
    for got, ids in zip(made, plain, strict=True):
        cut = next((place for place, token in enumerate(ids) if token in ends), None)
        assert (list(got.ids), got.finish_reason) == (ids[:cut], "length" if cut is None else "stop")
    one = dataclasses.replace(tiny, generation={"eos_token_id": min(ends)})
    stopped = Generator(tiny).generate_ids([], prompts, NEW, stops=Stops(ids=[min(ends)]))
    assert Generator(one).generate_ids([], prompts, NEW) == stopped
    with pytest.raises(UsageError, match=r"generation_config\.json must be ids"):
        Generator(dataclasses.replace(tiny, generation={"eos_token_id": ["</s>"]})).generate_ids([], [[7]], 4)
    constraint = Constraint(load_schema(["person"]), "ner")
    bracket = [token for token, text in enumerate(tiny.tokenizer.token_bytes()) if b"[" in text]
    model = dataclasses.replace(tiny, generation={"eos_token_id": bracket})
    (held,) = Generator(model).generate("results =", ["n"], 8, constraint, [""])
    assert held.text == " []"


def test_batched_equals_one_by_one_and_the_plain_forward(tiny):
    """More contexts than slots, of several widths, some ending early: refill order leaves no trace."""
    prefix = _contexts(1, seed=9)[0]
    contexts = _contexts(17)
    assert {len(context) > 64 for context in contexts} == {True, False}, "of two widths"
    eos_id = Generator(tiny).generate_ids(prefix, contexts[:1], 8)[0].ids[4]
    model = _with(tiny, eos_id=eos_id)
    together = Generator(model, slots=4).generate_ids(prefix, contexts, 12)
    single = Generator(model)
    for context, got in zip(contexts[:6], together, strict=False):
        alone = single.generate_ids(prefix, [context], 12)[0]
        assert (got.ids, got.finish_reason) == (alone.ids, alone.finish_reason)
    for context, got in zip(contexts[:5], together, strict=False):
        want = _plain_greedy(model, prefix + context, 12, eos_id)
        assert list(got.ids) == [token for token, _ in want]
        np.testing.assert_allclose(got.logprobs, [logprob for _, logprob in want], atol=1e-4)
    assert {got.finish_reason for got in together} == {"stop", "length"}


@settings(max_examples=8, deadline=None)
@given(st.permutations(list(range(7))), st.sampled_from([1, 3, 64]))
def test_order_and_number_of_slots_change_nothing(tiny, order, slots):
    contexts = _contexts(7, seed=3, longest=30)
    want = [made.ids for made in Generator(tiny, slots=1).generate_ids([5, 6, 7], contexts, 6)]
    made = Generator(tiny, slots=slots).generate_ids([5, 6, 7], [contexts[i] for i in order], 6)
    assert [each.ids for each in made] == [want[i] for i in order]


def test_text_in_text_out_reads_the_joint_text(tiny):
    prefix = 'class Person(Entity):\n    """A human being."""\n# NER\n'
    contexts = ['sentence = "Ada"\nresults =', 'sentence = "李白 was here 😀"\nresults =', "\nresults ="]
    made = Generator(tiny).generate(prefix, contexts, 8)
    for context, got in zip(contexts, made, strict=True):
        ids = tiny.tokenizer.encode(prefix + context)
        want = _plain_greedy(tiny, ids, 8, tiny.config.eos_id)
        assert list(got.ids) == [token for token, _ in want]
        assert got.text == tiny.tokenizer.decode(got.ids)


def test_the_models_last_position_is_a_length_stop(tiny):
    (made, longer) = Generator(_with(tiny, max_positions=40)).generate_ids([5] * 10, [[7] * 25, [7] * 29], 32)
    assert (len(made.ids), made.finish_reason) == (5, "length")
    assert (len(longer.ids), longer.finish_reason) == (1, "length")


def test_a_context_without_room_for_an_answer_is_refused_by_its_number(tiny):
    long = [7] * (tiny.config.max_positions - 1)
    with pytest.raises(ContextTooLongError, match="context 1: 4095 tokens after a prefix of 1 ") as refused:
        Generator(tiny).generate_ids([5], [[6], long], 4)
    assert refused.value.index == 1


@pytest.mark.parametrize("beams", [False, True])
def test_no_cache_holds_more_than_the_model_has_positions(tiny, monkeypatch, beams):
    """However many tokens are asked for: the slots are those of an answer that fills the model."""
    model, sizes = _with(tiny, max_positions=256), []
    monkeypatch.setattr(Generator, "rows", lambda self, contexts, tokens: sizes.append(tokens) or 1)
    for most in (200, 10**6):
        generator = Generator(model, slots=1)
        if beams:
            generator.n_best("x\n", ["a"], 2, most)
        else:
            generator.generate("x\n", ["a"], most)
    assert sizes[0] == sizes[1]


def test_a_constraint_of_no_such_level_or_task_is_refused():
    with pytest.raises(UsageError, match="level of a constraint is 'schema_span'"):
        Constraint(load_schema(["person"]), "ner", level="schema_span")
    with pytest.raises(UsageError, match="task of a constraint is 'pos'"):
        Constraint(load_schema(["person"]), "pos")


def test_half_a_surrogate_pair_in_a_sentence_is_told_with_its_number(tiny):
    constraint = Constraint(load_schema(["person"]), "ner")
    with pytest.raises(UsageError, match="sentence 1: half a surrogate pair at character 2"):
        Generator(tiny).generate("x\n", ["a", "b"], 4, constraint, ["a", "b \ud800"])


def test_what_cannot_be_is_said_before_anything_is_computed(tiny):
    for name in ("slots", "width", "lines"):
        for wrong in (0, -1, 1.5):
            with pytest.raises(UsageError, match=f"{name} of a generator must be a whole number from 1 on"):
                Generator(tiny, **{name: wrong})
    for wrong, message in (
        ({"ids": 5}, "ids that end an answer are a list"),
        ({"ids": ("a",)}, "ids that end an answer are a list"),
        ({"texts": None}, "texts that end an answer are a list"),
        ({"texts": ("\ud800",)}, "half a surrogate pair"),
    ):
        with pytest.raises(UsageError, match=message):
            Stops(**wrong)
    generator = Generator(tiny)
    with pytest.raises(UsageError, match="whole number of at most 32 bits"):
        generator.generate_ids([5], [[6]], 4, numbers=[1 << 40])
    with pytest.raises(UsageError, match="count must be a whole number"):
        generator.n_best("x\n", ["a"], 2.0)


def test_contexts_may_come_one_by_one(tiny):
    generator = Generator(tiny, slots=2)
    for prefix in ("Once\n", "Once"):
        known = generator.generate(prefix, ["a", "b"], 4)
        assert len(known) == 2
        assert generator.generate(prefix, iter(["a", "b"]), 4) == known


def test_draws_are_told_by_the_callers_numbers(tiny):
    constraint, warm = Constraint(load_schema(["person"]), "ner"), Sampling(temperature=1.0)
    generator = Generator(tiny)
    with pytest.raises(UsageError, match="sentence 1: half a surrogate pair"):
        generator.n_best("x\n", ["a", "b"], 3, 4, constraint, ["a", "b\ud800"], warm)
    with pytest.raises(UsageError, match="sentence of each of 2 contexts"):
        generator.n_best("x\n", ["a", "b"], 3, 4, constraint, ["a"], warm)


def test_nothing_to_do_is_nothing_done(tiny):
    assert Generator(tiny).generate("x\n", []) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"contexts": "ab"}, "contexts must be a list of texts"),
        ({"sentences": "ab"}, "sentences must be a list of texts"),
        ({"contexts": ["a", ""]}, "context 1 is empty"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number from 1 on, found 0"),
        ({"max_new_tokens": 8.5}, "max_new_tokens must be a whole number from 1 on, found 8.5"),
        ({"max_new_tokens": "8"}, "max_new_tokens must be a whole number from 1 on, found '8'"),
        ({"stops": Stops(min_tokens=1.5)}, "min_tokens be a whole number"),
    ],
)
def test_a_call_that_cannot_be_is_told_what_is_wrong(tiny, given, told):
    given = {"prefix": "x\n", "contexts": ["a", "b"], "max_new_tokens": 4} | given
    for call in (Generator(tiny).generate, partial(Generator(tiny).n_best, count=2)):
        with pytest.raises(UsageError, match=told):
            call(**given)


@pytest.mark.parametrize("given", [{"numbers": [1]}, {"numbers": []}, {"teacher": [[7]] * 3}])
def test_each_context_has_its_own_of_what_is_given(tiny, given):
    (name,) = given
    with pytest.raises(UsageError, match=f"{name} must be one for each of 2 contexts"):
        Generator(tiny).generate_ids([5], [[6], [7]], 4, **given)


def test_a_constraint_without_sentences_is_refused(tiny):
    constraint = Constraint(load_schema(["person"]), "ner")
    with pytest.raises(UsageError, match="sentence of each of 2"):
        Generator(tiny).generate("x\n", ["a", "b"], 4, constraint, ["a"])


def test_where_prefixes_differ_only_the_rest_is_read(tiny):
    """Whatever was read before: answers are those of the whole as one context."""
    rng = np.random.default_rng(8)
    whole = rng.integers(3, 2304, 300).tolist()
    generator = Generator(tiny)
    for cut, other in [
        (300, False),
        (290, True),
        (299, False),
        (70, True),
        (5, False),
        (0, True),
        (300, False),
    ]:
        prefix = whole[:cut] + ([7, 8, 9] * 30 if other else [])
        before = generator.prefixes.tokens_read
        (made,) = generator.generate_ids(prefix, [[*whole[cut:], 11, 12]], 6)
        read = generator.prefixes.tokens_read - before
        (want,) = Generator(tiny).generate_ids([], [prefix + whole[cut:] + [11, 12]], 6)
        assert made.ids == want.ids, cut
        assert read == (cut if cut == 300 and before == 0 else 90 if other else 0), cut


def test_a_warm_prefix_is_not_read_again(tiny):
    prefix = 'class Person(Entity):\n    """A human being."""\n# NER\n'
    generator = Generator(tiny, prefix_bytes=1)
    generator.warm([prefix], pin=True)
    read = generator.prefixes.tokens_read
    assert read > 10
    generator.generate_ids([5, 6], [[7]], 2)
    generator.generate(prefix, ["sentence"], 2)
    assert generator.prefixes.tokens_read == read + 2, "pinned, it did not give way"
    generator.unpin(prefix)
    generator.generate_ids([5, 6], [[7]], 2)
    generator.generate(prefix, ["sentence"], 2)
    assert generator.prefixes.tokens_read > read + 10


def _kept(ids, start, common):
    """A prefix of 8 bytes a token that knows its ids."""
    rest = jnp.array(ids[common:], jnp.float32)
    k = rest if start is None else jnp.concatenate([start.kv.k[:common], rest])
    return Prefix(KV(k, k), jnp.int32(len(ids)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=12), st.data())
def test_the_cache_of_prefixes_is_right_and_bounded(asked, data):
    most = data.draw(st.sampled_from([1, 64, 10_000]))
    cache = PrefixCache(most, _kept)
    pinned = data.draw(st.sampled_from(asked))
    cache.pin(pinned)
    for ids in asked:
        assert cache.get(ids).kv.k.tolist() == ids
        assert cache.bytes_used <= max(most, 8 * (len(ids) + len(pinned)))
    read = cache.tokens_read
    cache.get(pinned)
    assert cache.tokens_read == read
    assert cache.tokens_read + cache.tokens_reused == sum(map(len, [*asked, pinned, pinned]))


def test_threads_may_share_the_cache():
    """Prefixes that others drop and read meanwhile."""
    cache, interval = PrefixCache(8 * 40, _kept), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(cache.get, tuple(range(start, start + 9))) for start in range(400)]
            for start, one in enumerate(asked):
                assert one.result().kv.k.tolist() == list(range(start, start + 9))
    finally:
        sys.setswitchinterval(interval)
    assert cache.bytes_used <= 8 * 40


def test_what_was_used_longest_ago_gives_way_first():
    cache = PrefixCache(2 * 8, _kept)
    for ids in [(1,), (2,), (1,), (3,), (1,)]:  # 2 gives way to 3
        cache.get(ids)
    assert (cache.tokens_read, len(cache), cache.bytes_used) == (3, 2, 16)
    cache.get((2,))
    assert cache.tokens_read == 4
