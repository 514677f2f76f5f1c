"""The short way to a record says of any value what the long way says."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Record, record
from kcx_jax.errors import KcxError

TEXT = "Ada in Rome"
ODD = st.sampled_from([None, True, 1, -1, 0.5, "", "X", "1x", "é", [], {}])
MENTIONS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["e0", "e1"]) | ODD,
        "type": st.sampled_from(["P", "Q"]) | ODD,
        "start": st.just(0) | st.integers(-2, 12) | ODD,
        "end": st.just(3) | st.integers(-2, 12) | ODD,
        "text": st.just("Ada") | ODD,
    },
    optional={"spans": st.just([]) | ODD},
)
ROWS = st.fixed_dictionaries(
    {"id": st.just("1") | ODD, "text": st.just(TEXT) | ODD},
    optional={
        "language": st.just("en") | ODD,
        "entities": st.lists(MENTIONS, max_size=2) | ODD,
        "relations": st.just([]) | ODD,
        "meta": st.just({}) | ODD,
        "other": ODD,
    },
)


def outcome(value):
    try:
        return Record.from_json(value, "f:1")
    except KcxError as error:
        return str(error)


@settings(max_examples=400)
@given(ROWS | ODD)
def test_both_ways_agree(value):
    short = record._usual_record
    quick = outcome(value)
    record._usual_record = lambda value: None
    try:
        assert outcome(value) == quick
    finally:
        record._usual_record = short


def test_the_usual_line_takes_the_short_way():
    mention = {"id": "e0", "type": "P", "start": 0, "end": 3, "text": "Ada"}
    assert record._usual_record({"id": "1", "text": TEXT, "entities": [mention]}) is not None
    assert record._usual_record({"id": "1", "text": TEXT, "entities": [mention, mention]}) is None
