"""What a refusal was, and how long to wait, as the endpoint says it."""

import email.utils
import json
import time
from http import HTTPStatus

import pytest
from multidict import CIMultiDict

from kcx_jax.llm.retry import (
    BAD_REQUEST,
    QUOTA,
    RATE_LIMITED,
    REFUSED,
    SERVER,
    RetryPolicy,
    _retry_after,
    classify_status,
)


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


@pytest.mark.parametrize(
    ("status", "interrupted"),
    [(504, True), (524, True), (500, False), (502, False), (503, False), (529, False)],
)
def test_a_gateway_that_did_not_wait_leaves_open_whether_the_work_was_done(status, interrupted):
    failure = classify_status(status, "", CIMultiDict(), b"<html>timed out</html>")
    assert (failure.error_class, failure.interrupted) == (SERVER, interrupted)


def test_waits_grow_to_a_ceiling():
    policy = RetryPolicy(first_wait=1.0, longest_wait=8.0)
    for sends, most in ((1, 1), (2, 2), (3, 4), (4, 8), (50, 8), (5_000, 8)):
        waits = [policy.wait(sends) for _ in range(50)]
        assert 0.1 * most <= min(waits) <= max(waits) <= most


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "param"),
    [
        (400, {"error": {"message": "no", "param": "temperature"}}, BAD_REQUEST, "no", "temperature"),
        (422, {"message": "no", "param": None}, BAD_REQUEST, "no", None),
        (400, {"error": {"message": 7, "param": ["x"], "code": {}}}, BAD_REQUEST, "7", "['x']"),
        (400, {"error": "told in a string"}, BAD_REQUEST, '{"error": "told in a string"}', None),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, QUOTA, "pay", None),
        (429, {"error": {"message": "pay", "type": "insufficient_quota"}}, QUOTA, "pay", None),
        (402, {}, QUOTA, "{}", None),
        (429, {"error": {"message": "slowly"}}, RATE_LIMITED, "slowly", None),
        (404, [], REFUSED, "[]", None),
        (304, b"", BAD_REQUEST, "Not Modified", None),
        (409, b"", SERVER, "Conflict", None),
        (503, b"<html>busy</html>", SERVER, "<html>busy</html>", None),
        (500, b"[" * 100_000, SERVER, "[" * 300, None),
        (500, b"\xff\xfe\x00", SERVER, None, None),
    ],
)
def test_a_refusal_is_known_by_its_status_and_by_what_its_body_states(status, body, kind, message, param):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reason = HTTPStatus(status).phrase
    failure = classify_status(status, reason, CIMultiDict({"X-Request-ID": "req_1"}), content)
    assert (failure.error_class, failure.http_status, failure.param) == (kind, status, param)
    assert (failure.request_id, failure.body) == ("req_1", content)
    assert message is None or failure.message == f"HTTP {status}: {message}"
