"""Draws follow the distribution that temperature and cuts leave, whatever else is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.ops.sampling import READ, WRITTEN, Sampling, choose, cut, weighed

V = 12


def _scores(seed):
    return np.random.default_rng(seed).normal(size=V).astype(np.float32) * 2


def _probabilities(scores, sampling):
    sampler = sampling.sampler(V)
    return np.asarray(jax.nn.softmax(cut(jnp.asarray(scores), sampler)))


def _by_hand(scores, sampling):
    """Temperature, top-k, top-p, min-p one after another over sorted tokens."""
    scores = scores.astype(np.float64) / sampling.temperature
    order = np.argsort(-scores)
    kept = list(order[: sampling.top_k or V])
    probabilities = np.exp(scores[kept] - scores[kept].max())
    probabilities /= probabilities.sum()
    if sampling.top_p is not None:
        before = np.cumsum(probabilities) - probabilities
        kept = [token for token, share in zip(kept, before, strict=True) if share < sampling.top_p] or kept[
            :1
        ]
    if sampling.min_p is not None:
        kept = [token for token in kept if np.exp(scores[token] - scores[kept[0]]) >= sampling.min_p]
    result = np.zeros(V)
    result[kept] = np.exp(scores[kept] - scores[kept].max())
    return result / result.sum()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.3, 1.0, 2.0]),
    st.none() | st.integers(1, V + 3),
    st.none() | st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    st.none() | st.sampled_from([0.0, 0.05, 0.4, 1.0]),
)
def test_what_is_left_is_what_is_left_by_hand(seed, temperature, top_k, top_p, min_p):
    sampling = Sampling(temperature, top_k, top_p, min_p)
    scores = _scores(seed)
    np.testing.assert_allclose(_probabilities(scores, sampling), _by_hand(scores, sampling), atol=1e-6)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(1.0), Sampling(0.7, top_k=5), Sampling(1.3, top_p=0.8, min_p=0.02)],
    ids=["all", "k", "p"],
)
def test_draws_have_the_exact_distribution(sampling):
    """Chi-square over 20,000 draws; requests and positions are both independent draws."""
    scores, count = _scores(4), 20_000
    sampler = sampling.sampler(V)
    rows = jnp.broadcast_to(jnp.asarray(scores), (count, V))
    tokens = jnp.broadcast_to(jnp.arange(V), (count, V))
    request, position = jnp.arange(count) // 100, jnp.arange(count) % 100
    drawn = np.bincount(choose(rows, tokens, None, sampler, request, position), minlength=V)
    expected = _by_hand(scores, sampling) * count
    assert (drawn[expected == 0] == 0).all()
    possible = expected > 0
    chi_square = ((drawn - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = possible.sum() - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def test_a_draw_depends_on_seed_request_position_and_token_only():
    scores = jnp.asarray(_scores(1))
    tokens = jnp.arange(V)

    def drawn(order, seed=0, request=3, position=5):
        order = jnp.asarray(order)
        sampler = Sampling(2.0, seed=seed).sampler(V)
        which = choose(scores[order], tokens[order], None, sampler, jnp.int32(request), jnp.int32(position))
        return int(tokens[order][which])

    whole = drawn(np.arange(V))
    assert drawn(np.arange(V)[::-1]) == whole
    rest = [token for token in range(V) if token != whole]
    assert drawn([*rest[:4], whole]) == whole, "tokens that lose change nothing"
    others = [
        {drawn(range(V), **{name: value}) for value in range(40)} for name in ("seed", "request", "position")
    ]
    assert all(len(each) > 3 for each in others)


@pytest.mark.interop
@pytest.mark.parametrize("seed", range(4))
def test_penalties_are_those_of_transformers(seed):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    scores, rng = _scores(seed), np.random.default_rng(seed)
    read, written = rng.integers(0, V, 5), rng.integers(0, V, 3)
    seen = np.zeros(V, np.uint8)
    seen[read] |= READ
    seen[written] |= WRITTEN
    sampling = Sampling(repetition_penalty=1.3, presence_penalty=0.4, logit_bias=((2, 1.5), (7, -3.0)))
    ours = weighed(jnp.asarray(scores), jnp.arange(V), jnp.asarray(seen), sampling.sampler(V))
    ids = torch.tensor([[*read, *written]])
    theirs = transformers.RepetitionPenaltyLogitsProcessor(1.3)(ids, torch.tensor(scores)[None])[0].numpy()
    theirs[np.unique(written)] -= 0.4  # OpenAI's presence penalty: of the answer's tokens
    theirs[[2, 7]] += [1.5, -3.0]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"repetition_penalty": 0},
        {"repetition_penalty": 1e39},
        {"temperature": 1e39},
        {"logit_bias": ((2, 1e39),)},
        {"presence_penalty": float("inf")},
        {"logit_bias": ((-1, 1.0),)},
        {"logit_bias": ((2, 1.0), (3, 1.0), (2, -1.0))},
        {"seed": 1 << 40},
        {"seed": -1},
        {"seed": 1.5},
        {"top_k": 1.5},
        {"top_k": "5"},
        {"temperature": None},
        {"temperature": "1"},
        {"repetition_penalty": None},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sampling(**wrong)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.0, 1e-39, 1e-7, 1e-6, 1.0, 1e30]),
    st.sampled_from([1e-30, 1.0, 1e30]),
    st.sampled_from([-1e30, 0.0, 1e30]),
    st.dictionaries(st.integers(0, V - 1), st.sampled_from([-1e30, 1e30])),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, 0.5]),
)
@example(0, 1e-39, 1.0, 0.0, {}, None, None)
@example(0, 1e-6, 1e30, 0.0, {}, None, None)
def test_no_number_opens_what_may_not_be_chosen(seed, temperature, repetition, presence, bias, top_k, top_p):
    rng = np.random.default_rng(seed)
    closed = rng.random(V) < 0.6
    closed[0], closed[1 + rng.integers(V - 1)] = True, False
    scores = np.where(closed, -np.inf, 1e4 * (_scores(seed) - 5)).astype(np.float32)  # all far below zero
    sampling = Sampling(temperature, top_k, top_p, None, repetition, presence, bias)
    seen = jnp.asarray(rng.integers(1, 4, V).astype(np.uint8))
    given = jnp.asarray(scores)[None], jnp.arange(V)[None], seen[None], sampling.sampler(V)
    chosen = int(choose(*given, jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.int32))[0])
    assert not closed[chosen]


def test_a_bias_outside_the_vocabulary_is_refused():
    with pytest.raises(UsageError, match=f"token {V}"):
        Sampling(logit_bias=((V, 1.0),)).sampler(V)
