"""Intervals and the paired test: against enumeration, and what must not change them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record
from kcx_jax.errors import UsageError
from kcx_jax.scoring import (
    MODES,
    Counts,
    counts_by_record,
    f1_interval,
    f1_intervals,
    paired_bootstrap,
    paired_p_value,
    score,
)
from kcx_jax.scoring.record_counts import RecordCounts

numbers = st.integers(0, 4)
records = st.lists(st.builds(Counts, numbers, numbers, numbers), min_size=1, max_size=12)


def f1(each):
    tp, fp, fn = (sum(getattr(c, name) for c in each) for name in ("tp", "fp", "fn"))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


@settings(max_examples=20)
@given(records)
def test_the_interval_is_seeded_and_grows_with_its_level(each):
    assert f1_interval(each, 50, seed=3) == f1_interval(each, 50, seed=3)
    (low, high), (lower, higher) = f1_interval(each, 50, 0.5), f1_interval(each, 50, 0.95)
    assert 0 <= lower <= low <= high <= higher <= 1


def test_equal_records_leave_no_doubt():
    assert f1_interval([Counts(1, 1, 1)] * 7, 30) == (0.5, 0.5)


def test_the_interval_is_that_of_all_draws():
    each = [Counts(1, 0, 0), Counts(0, 1, 1), Counts(2, 1, 0)]
    drawn = sorted(f1(draw) for draw in itertools.product(each, repeat=3))
    assert f1_interval(each, 4000, 0.6) == (drawn[5], drawn[21])  # far from where the draws' F1 steps


def test_the_p_value_is_that_of_all_exchanges():
    one = [Counts(1, 0, 0), Counts(1, 0, 1), Counts(0, 1, 1), Counts(2, 0, 0), Counts(1, 1, 0)]
    other = [Counts(0, 1, 1), Counts(1, 0, 1), Counts(0, 0, 1), Counts(1, 0, 1), Counts(0, 2, 1)]
    seen = abs(f1(one) - f1(other))
    beyond = []
    for swaps in itertools.product((False, True), repeat=5):
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(one, other, swaps, strict=True)]
        left, right = zip(*pairs, strict=True)
        beyond.append(abs(f1(left) - f1(right)) >= seen - 1e-12)
    assert paired_p_value(one, other, 5000) == pytest.approx(sum(beyond) / 32, abs=0.02)


@settings(max_examples=20)
@given(records, records)
def test_the_p_value_does_not_ask_who_comes_first(one, other):
    size = min(len(one), len(other))
    one, other = one[:size], other[:size]
    assert paired_p_value(one, one, 20) == 1.0
    assert paired_p_value(one, other, 20) == paired_p_value(other, one, 20) > 0


def test_counts_of_records_add_up_to_the_score():
    ada, rome = Mention("a", "P", 0, 3, "Ada"), Mention("b", "C", 7, 11, "Rome")
    gold = [Record(str(i), "en", "Ada in Rome", (ada, rome)) for i in range(3)]
    guess = [gold[0], Record("1", "en", "Ada in Rome", (ada,), meta={"unresolved": [{"type": "P"}]})]
    each = counts_by_record(gold, guess, "ner")
    assert [(c.tp, c.fp, c.fn) for c in each] == [(2, 0, 0), (1, 1, 1), (0, 0, 2)]
    assert f1(each) == score(gold, guess).f1("ner")


def test_mistakes_are_named():
    with pytest.raises(UsageError, match="no record"):
        f1_interval([])
    with pytest.raises(UsageError, match="level must lie between 0 and 1"):
        f1_interval([Counts(1)], level=1.0)
    with pytest.raises(UsageError, match="same records: 1 against 2"):
        paired_p_value([Counts(1)], [Counts(1)] * 2)
    with pytest.raises(UsageError, match="at least one sample"):
        paired_p_value([Counts(1)], [Counts(1)], samples=0)
    with pytest.raises(UsageError, match="no measure 'er'; it has: ner"):
        counts_by_record([], [], "er", "text")


SPANS = {"P": (0, 3), "Q": (7, 11)}
answers = st.lists(
    st.tuples(st.sets(st.sampled_from("PQ")), st.sets(st.sampled_from("PQ"))), min_size=1, max_size=6
)


def ner(number, types):
    found = tuple(Mention(t, t, *SPANS[t], "Ada in Rome"[slice(*SPANS[t])]) for t in sorted(types))
    return Record(str(number), "en" if number % 2 else "zh", "Ada in Rome", found)


@settings(max_examples=30, deadline=None)
@given(answers, st.sampled_from(["strict", "multiconer", "iepile", "instructuie"]))
def test_a_draw_is_scored_as_the_records_drawn_are(pairs, mode):
    """Every mode's figure, macro and rounded too: a draw is a data set, and has the F1 that `score` gives it."""
    gold = [ner(i, wanted) for i, (wanted, _) in enumerate(pairs)]
    guess = [ner(i, given) for i, (_, given) in enumerate(pairs)]
    scores = score(gold, guess, mode=mode, by_record=True)
    rng = np.random.default_rng(5)
    found = []
    for _ in range(40):
        drawn = rng.integers(len(gold), size=len(gold))
        sides = [[replace(side[j], id=str(i)) for i, j in enumerate(drawn)] for side in (gold, guess)]
        found.append(score(*sides, mode=mode).f1("ner"))
    expected = np.quantile(found, [0.025, 0.975])
    by_record = scores.units["ner"].by_record
    interval = f1_intervals(by_record, MODES[mode].averaging, 40, seed=5).total
    assert interval == pytest.approx(tuple(expected), abs=1e-12)


def test_types_languages_and_means_have_intervals_of_their_own():
    gold = [ner(i, "PQ") for i in range(8)]
    guess = [ner(i, "P" if i % 2 else "PQ") for i in range(8)]  # the English answers lack Q
    drawn = score(gold, guess, by_record=True).intervals("ner", 200)
    assert drawn.per_type["P"] == (1, 1)
    assert drawn.per_language == {"en": (2 / 3, 2 / 3), "zh": (1, 1)}
    assert drawn.per_type["Q"][0] < 2 / 3 < drawn.per_type["Q"][1]
    assert drawn.macro[0] < 5 / 6 < drawn.macro[1]
    with pytest.raises(UsageError, match="by_record=True"):
        score(gold, guess).intervals("ner")


def test_the_paired_test_takes_any_mode():
    gold = [ner(i, "PQ") for i in range(12)]
    good, bad = [ner(i, "PQ") for i in range(12)], [ner(i, "P") for i in range(12)]
    for mode in ("multiconer", "iepile"):
        one, other = (counts_by_record(gold, side, "ner", mode) for side in (good, bad))
        assert paired_p_value(one, other, 200, averaging=MODES[mode].averaging) < 0.02
        assert paired_p_value(one, one, 200, averaging=MODES[mode].averaging) == 1.0


def compact(*each):
    return RecordCounts.of(each)


def test_the_paired_bootstrap_draws_both_sides_at_once():
    one = [Counts(1, 0, 0), Counts(0, 1, 1), Counts(2, 1, 0)]
    other = [Counts(0, 1, 1), Counts(0, 1, 1), Counts(2, 0, 0)]
    exact = sorted(
        f1([other[i] for i in draw]) - f1([one[i] for i in draw])
        for draw in itertools.product(range(3), repeat=3)
    )
    found = paired_bootstrap(compact(*one), compact(*other), 4000)
    assert found.observed == pytest.approx(f1(other) - f1(one))
    assert exact[0] <= found.interval_95[0] <= exact[1]
    assert exact[-2] <= found.interval_95[1] <= exact[-1]
    assert found.p_worse == pytest.approx(np.mean([each >= 0 for each in exact]), abs=0.03)


@given(records)
def test_a_system_is_not_worse_than_itself(each):
    found = paired_bootstrap(compact(*each), compact(*each), 20)
    assert (found.observed, found.interval_95, found.p_worse) == (0.0, (0.0, 0.0), 1.0)


pairs = st.lists(
    st.tuples(st.builds(Counts, numbers, numbers, numbers), st.builds(Counts, numbers, numbers, numbers)),
    min_size=1,
    max_size=7,
)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_the_paired_bootstrap_is_never_surer_than_an_exchange_of_answers_can_be(both):
    """Against every exchange: of k records that differ, one exchange of 2**k is as far below as what is seen."""
    one, other = zip(*both, strict=True)
    differing = sum(a != b for a, b in both)
    seen = f1(other) - f1(one)
    exchanged = [
        [(b, a) if swap else (a, b) for (a, b), swap in zip(both, swaps, strict=True)]
        for swaps in itertools.product((False, True), repeat=len(both))
    ]
    apart = [f1([b for _, b in each]) - f1([a for a, _ in each]) for each in exchanged]
    exact = np.mean([each <= seen + 1e-12 for each in apart])
    assert exact >= 0.5**differing
    assert compact(*one).differing(compact(*other)) == differing
    assert paired_bootstrap(compact(*one), compact(*other), 200).p_worse >= 0.5**differing


def test_records_differ_by_language_and_type():
    gold = [ner(i, "PQ") for i in range(4)]
    guesses = [["P", "Q", "PQ", ""], ["Q", "Q", "P", ""]]
    one, other = (counts_by_record(gold, map(ner, range(4), each), "ner") for each in guesses)
    assert [c == d for c, d in zip(one, other, strict=True)] == [True, True, False, True]  # types added up
    assert one.differing(other) == other.differing(one) == 2
    assert one.differing(one) == 0
    assert RecordCounts().differing(RecordCounts()) == 0


def test_what_is_worse_everywhere_is_worse_and_never_the_other_way():
    better, worse = compact(*[Counts(2, 0, 0)] * 9), compact(*[Counts(1, 1, 1)] * 9)
    assert paired_bootstrap(better, worse, 99).p_worse == 0.01
    assert paired_bootstrap(worse, better, 99).p_worse == 1.0
    with pytest.raises(UsageError, match="9 against 1"):
        paired_bootstrap(better, compact(Counts(1, 0, 0)), 9)
