"""Bodies are read as JSON's standard has them, or refused in one sentence; nothing in between."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.serving.errors import ApiError
from kcx_jax.serving.json_body import strict_json

NUMBERS = st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_whatever_json_can_say_is_read(value, escaped):
    assert strict_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ud8e0123NaI-.', max_size=40).map(str.encode))
def test_any_bytes_are_read_as_json_reads_them_or_refused(body):
    value = refused = None
    try:
        value = strict_json(body)
    except ApiError as error:
        refused = error
    if refused is None:
        assert value == json.loads(body.decode("utf-8"))
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    else:
        assert refused.status_code == 400
        assert "\n" not in refused.detail


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "a key is written twice"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b"[-Infinity]", "-Infinity is no JSON"),
        (b"[1e999]", "too large"),
        (b"[" + b"9" * 5000 + b"]", "a number of 5000 digits"),
        (b'["\\ud800"]', "half a surrogate pair"),
        (b'{"\\udfff": 1}', "half a surrogate pair"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        ('{"text": "é"}'.encode("utf-16"), "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 40 + b"]" * 40, "nested too deeply"),
        (b"", "Expecting value"),
        (b'{"text": "a"} {', "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM"),
    ],
)
def test_what_is_refused(body, said):
    with pytest.raises(ApiError, match=said) as refused:
        strict_json(body)
    assert refused.value.status_code == 400


def test_a_pair_of_surrogates_is_a_character():
    assert strict_json(b'["\\ud83d\\ude00"]') == ["😀"]
