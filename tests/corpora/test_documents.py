"""Documents of joined records: every offset still stands where its text does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Record
from kcx_jax.corpora.documents import join_records
from kcx_jax.errors import UsageError

from .written import records


@settings(max_examples=60)
@given(st.lists(records(entity_arguments=True), min_size=1, max_size=7), st.integers(1, 4))
def test_nothing_is_lost_and_every_surface_is_in_its_place(given_records, count):
    joined = list(join_records(given_records, count))
    assert "\n".join(record.text for record in joined) == "\n".join(record.text for record in given_records)
    for record in joined:
        record.check()
    for layer in ("entities", "relations", "events"):
        if all(getattr(record, layer) is not None for record in given_records):
            items = [(e.type, getattr(e, "text", "")) for r in given_records for e in getattr(r, layer)]
            assert [(e.type, getattr(e, "text", "")) for r in joined for e in getattr(r, layer)] == items


def test_what_one_does_not_say_the_whole_does_not():
    said, unsaid = Record("a", "en", "x", ()), Record("b", "de", "y")
    (both,) = join_records([said, unsaid], 2)
    assert (both.id, both.language, both.entities) == ("a+2", "und", None)
    with pytest.raises(UsageError):
        list(join_records([said], 0))
