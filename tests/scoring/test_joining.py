"""Two streams joined by id: whatever the order, and also when more waits than memory may hold."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError
from kcx_jax.scoring import joining
from kcx_jax.scoring.joining import joined


def records(ids):
    return [Record(id, "en", f"text of {id}") for id in ids]


ids = st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=12)


@settings(deadline=None)
@given(ids, st.data(), st.integers(0, 3))
def test_every_gold_record_meets_its_prediction_whatever_the_order(names, data, in_memory):
    given_ids = data.draw(
        st.permutations(names).flatmap(lambda p: st.integers(0, len(p)).map(lambda n: p[:n]))
    )
    before, joining.IN_MEMORY = joining.IN_MEMORY, in_memory
    try:
        found = sorted(joined(records(names), records(given_ids)), key=lambda pair: pair[0])
    finally:
        joining.IN_MEMORY = before
    assert [(number, gold.id) for number, gold, _ in found] == list(enumerate(names))
    assert [guess and guess.id for _, _, guess in found] == [n if n in given_ids else None for n in names]


def test_records_in_the_same_order_are_read_in_step():
    read = []

    def watched(name):
        for record in records("abc"):
            read.append(name + record.id)
            yield record

    next(joined(watched("g"), watched("p")))
    assert read == ["ga", "pa"]


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ("aba", "ab", "gold: records 1 and 3 .* same id"),
        ("ab", "bab", "predicted: records 1 and 3 .* same id"),
        ("a", "abcde", "4 predicted records have no gold record of their id, such as 'b', 'c', 'd'"),
    ],
)
def test_what_has_no_partner_or_two_is_an_error(gold, predicted, message):
    with pytest.raises(KcxError, match=message):
        list(joined(records(gold), records(predicted)))


def test_another_text_is_an_error_also_out_of_order():
    with pytest.raises(KcxError, match="record 'a': the predicted text is not the gold text"):
        list(joined(records("ab"), [*records("b"), Record("a", "en", "x")]))
