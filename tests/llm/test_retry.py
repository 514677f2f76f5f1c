"""How long to wait, as the endpoint says it."""

import email.utils
import time

import pytest

from kcx_jax.llm.retry import RetryPolicy, _retry_after


def _date(moment: float) -> str:
    return email.utils.formatdate(moment, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "40", "retry-after": "3"}, 0.04),
    ],
)
def test_retry_after(headers, seconds):
    assert _retry_after(headers) == seconds


def test_retry_after_as_a_date():
    assert 25 < _retry_after({"retry-after": _date(time.time() + 30)}) <= 31


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_date_is_told_by_the_endpoints_clock(hours):
    """An hour between the two clocks is no hour of waiting."""
    there = time.time() + 3600 * hours
    headers = {"date": _date(there), "retry-after": _date(there + 30)}
    assert _retry_after(headers) == 30
    assert _retry_after({"retry-after": "Mon, 99 Foo 2026 00:00:00 GMT"}) is None


def test_waits_grow_to_a_ceiling():
    policy = RetryPolicy(first_wait=1.0, longest_wait=8.0)
    for sends, most in ((1, 1), (2, 2), (3, 4), (4, 8), (50, 8)):
        waits = [policy.wait(sends) for _ in range(50)]
        assert 0.1 * most <= min(waits) <= max(waits) <= most
