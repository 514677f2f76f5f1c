"""Samples drawn by a seed: which of them hold which, whatever the order of the corpus."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record
from kcx_jax.corpora.sampling import sample_records
from kcx_jax.errors import UsageError

CORPUS = [
    Record(
        str(i), "en", "Ada", (Mention("e0", ["Person", "City", "Band"][i % 3 if i % 7 else 0], 0, 3, "Ada"),)
    )
    for i in range(60)
]


@given(st.integers(0, 5), st.integers(1, 70), st.integers(1, 70), st.permutations(CORPUS))
def test_a_larger_sample_holds_the_smaller_in_any_order_of_the_corpus(seed, one, other, shuffled):
    small, large = sorted((one, other))
    drawn = sample_records(shuffled, seed, count=large)
    assert {each.id for each in sample_records(CORPUS, seed, count=small)} <= {each.id for each in drawn}
    assert len(drawn) == min(large, len(CORPUS))
    assert drawn == [each for each in shuffled if each in drawn]


def test_shares_round_up_and_seeds_differ():
    assert [len(sample_records(CORPUS, 0, share=share)) for share in (0.01, 0.05, 0.1, 1)] == [1, 3, 6, 60]
    assert len({tuple(r.id for r in sample_records(CORPUS, seed, count=6)) for seed in range(5)}) == 5


@pytest.mark.parametrize("shots", [1, 4])
def test_shots_are_as_many_of_each_class_and_no_record_is_superfluous(shots):
    drawn = sample_records(CORPUS, 3, shots=shots)
    assert Counter(r.entities[0].type for r in drawn) == {"Person": shots, "City": shots, "Band": shots}


@pytest.mark.parametrize(
    "wrong", [{}, {"count": 1, "share": 0.1}, {"count": 0}, {"share": 0.0}, {"share": 1.1}, {"shots": 0}]
)
def test_what_is_no_size_is_refused(wrong):
    with pytest.raises(UsageError):
        sample_records(CORPUS, 0, **wrong)
