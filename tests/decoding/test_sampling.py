"""Sampling, penalties, stops: against the goldens, and against what they do to answers that are known."""

import numpy as np
import pytest

from kcx_jax.decoding import Generator, Stops
from kcx_jax.errors import UsageError
from kcx_jax.ops.sampling import GREEDY, Sampling

NEW = 24


@pytest.fixture(scope="module")
def generator(tiny):
    return Generator(tiny, slots=8)


def _ids(generator, prompts, sampling=GREEDY, **options):
    return [list(each.ids) for each in generator.generate_ids([], prompts, NEW, None, sampling, **options)]


def test_the_repetition_penalty_of_the_goldens(generator, golden):
    """Over a prompt that is all context, and one whose beginning is the prefix."""
    rows = golden["greedy_repetition_penalty_1.1"]
    prompts = [row["prompt_ids"] for row in rows]
    assert _ids(generator, prompts, Sampling(repetition_penalty=1.1)) == [row["new_ids"] for row in rows]
    for row in rows:
        if len(row["prompt_ids"]) > 8:
            (cut,) = generator.generate_ids(
                row["prompt_ids"][:7], [row["prompt_ids"][7:]], NEW, None, Sampling(repetition_penalty=1.1)
            )
            assert list(cut.ids) == row["new_ids"]


def test_draws_of_the_goldens_distribution(generator, golden, shared):
    """Chi-square of 2,000 requests against the probabilities that another implementation found."""
    import json

    prompts = json.loads((shared / "fixtures/baichuan2_tiny/golden/prompts.json").read_text())
    chat = Sampling(temperature=0.3, top_k=5, top_p=0.85, repetition_penalty=1.05, seed=2)
    count = 2000
    for case in golden["sampling_first_step"][:2]:
        made = generator.generate_ids([], [prompts[case["prompt"]]] * count, 1, None, chat)
        drawn = np.array([each.ids[0] if each.ids else generator.model.config.eos_id for each in made])
        expected = dict(zip(case["ids"], np.array(case["probs"]) * count, strict=True))
        assert set(drawn) <= set(expected)
        chi_square = sum((np.sum(drawn == token) - want) ** 2 / want for token, want in expected.items())
        freedom = len(expected) - 1
        assert chi_square <= freedom + 5 * np.sqrt(2 * max(freedom, 1))


def test_a_request_draws_the_same_whatever_is_beside_it(generator):
    warm = Sampling(temperature=1.2, seed=4)
    prompts = [[7, 8, 9], [11], [12, 13], [7, 8, 9]]
    together = _ids(generator, prompts, warm)
    assert together[0] != together[3], "the same prompt, another request"
    for number, prompt in enumerate(prompts):
        assert _ids(generator, [prompt], warm, numbers=[number]) == [together[number]]
    assert _ids(generator, prompts, Sampling(temperature=1.2, seed=5)) != together


def test_stops_by_id(generator):
    prompts = [[7, 8, 9], [11], [12, 13]]
    plain = generator.generate_ids([], prompts, NEW)
    token = plain[0].ids[5]
    stopped = generator.generate_ids([], prompts, NEW, stops=Stops(ids=(token,)))
    for before, got in zip(plain, stopped, strict=True):
        cut = before.ids.index(token) if token in before.ids else len(before.ids)
        assert got.ids == before.ids[:cut]
        assert got.finish_reason == ("stop" if cut < len(before.ids) else before.finish_reason)


@pytest.fixture(scope="module")
def spelled(tiny):
    """Greedy, and without the ids that stand for no text."""
    pieces = enumerate(tiny.tokenizer.token_bytes())
    return Sampling(logit_bias=[(token, -1e4) for token, piece in pieces if not piece])


def test_a_text_ends_an_answer_across_tokens(generator, tiny, spelled):
    prompts = [[7, 8, 9], [11], [12, 13]]
    plain = generator.generate_ids([], prompts, NEW, None, spelled)
    pieces = [each or b"" for each in tiny.tokenizer.token_bytes()]
    for before in plain:
        # From the middle of one token into another, so that it stands across a border.
        words = [pieces[token].decode("utf-8", "replace") for token in before.ids]
        text = (words[3][-1:] + words[4] + words[5][:1]).replace("\ufffd", "")
        if not text or text not in before.text:
            continue
        (got,) = generator.generate_ids(
            [], [prompts[plain.index(before)]], NEW, None, spelled, Stops(texts=(text, "never there"))
        )
        assert got.finish_reason == "stop"
        assert got.text == before.text[: before.text.index(text)]
        assert got.ids == before.ids[: len(got.ids)]
        assert len(got.ids) <= 6
        break
    else:
        pytest.fail("no answer had a text to stop at")


def test_an_answer_has_its_least_number_of_tokens(generator, tiny):
    prompts = [[7, 8, 9], [11]]
    plain = generator.generate_ids([], prompts, NEW)
    stops = Stops(ids=(plain[0].ids[2],), min_tokens=10)
    for got in generator.generate_ids([], prompts, NEW, stops=stops):
        assert len(got.ids) >= 10
        assert stops.ids[0] not in got.ids[:10]


def _first_stop(pieces, ids, stops, least):
    """By hand: how many tokens are written, and the text, if the first stop counts that the `least` token ends."""
    for count in range(max(1, least), len(ids) + 1):
        text, early = (b"".join(pieces[token] for token in ids[:end]) for end in (count, count - 1))
        starts = [
            start
            for stop in stops
            for start in range(len(text))
            if text.startswith(stop, start) and start + len(stop) > len(early)
        ]
        if starts:
            return count, text[: min(starts)].decode("utf-8", "replace")
    return None


def test_a_text_ends_an_answer_where_it_has_its_least_number_of_tokens(generator, tiny, spelled):
    """What stood before is passed, be it there again or not; whatever the number is."""
    pieces = tiny.tokenizer.token_bytes()
    (plain,) = generator.generate_ids([], [[7, 8, 9]], 2 * NEW, None, spelled)
    letters = [text for text in plain.text if text.isascii() and text.isalpha()]
    often = max(sorted(set(letters)), key=letters.count)
    assert letters.count(often) > 2
    passed = 0
    for least in range(2 * NEW):
        stops = Stops(texts=[often], min_tokens=least)
        (got,) = generator.generate_ids([], [[7, 8, 9]], 2 * NEW, None, spelled, stops)
        want = _first_stop(pieces, plain.ids, [often.encode()], least)
        if want is None:
            assert (got.ids, got.finish_reason, got.text) == (plain.ids, "length", plain.text)
        else:
            assert (len(got.ids), got.finish_reason) == (want[0], "stop")
            assert got.text == want[1]
            passed += often in got.text
    assert passed


def test_a_bias_forbids_and_forces(generator):
    (plain,) = generator.generate_ids([], [[7, 8, 9]], NEW)
    first = plain.ids[0]
    (without,) = generator.generate_ids([], [[7, 8, 9]], NEW, None, Sampling(logit_bias=((first, -1e4),)))
    assert first not in without.ids
    (only,) = generator.generate_ids([], [[7, 8, 9]], NEW, None, Sampling(logit_bias=((first, 1e4),)))
    assert set(only.ids) == {first}


def test_symbols_that_the_text_shows_are_a_part_of_it(generator, tiny):
    """One may end an answer, and stands between what is before it and behind it."""
    tokenizer = tiny.tokenizer
    symbol = tokenizer.reserved[0]
    ids = [*tokenizer.encode("x y"), *tokenizer.encode(symbol, allow_special=True), *tokenizer.encode("z")]
    assert tokenizer.token_bytes()[ids[-2]] == b""

    def taught(*texts):
        return generator.generate_ids([5], [[6]], len(ids), teacher=[ids], stops=Stops(texts=texts))[0]

    plain, between, ended = taught(), taught("yz"), taught("never", symbol[1:])
    assert plain.text == between.text == f"x y{symbol}z"
    assert plain.finish_reason == between.finish_reason == "length"
    assert (ended.text, ended.finish_reason) == ("x y<", "stop")
    assert list(ended.ids) == ids[:-1]


@pytest.mark.parametrize("texts", ["END", [1], b"END"])
def test_texts_that_are_none_end_nothing(texts):
    with pytest.raises(UsageError, match="list of texts"):
        Stops(texts=texts)


@pytest.mark.parametrize("token", [-1, 2304, 10**9])
def test_ids_outside_the_vocabulary_are_refused(generator, token):
    for prefix, context, answer in (([token], [7], [8]), ([5], [7, token], [8]), ([5], [7], [token])):
        with pytest.raises(UsageError, match=f"vocabulary of 2304, found {token}"):
            generator.generate_ids(prefix, [[7], context], 4, teacher=[[8], answer])


@pytest.mark.parametrize(
    "stops", [Stops(ids=(10**6,)), Stops(texts=("",)), Stops(min_tokens=-1), Stops(texts=("x" * 300,))]
)
def test_stops_that_cannot_be_are_refused(generator, stops):
    with pytest.raises(UsageError):
        generator.generate_ids([], [[7]], 4, stops=stops)
