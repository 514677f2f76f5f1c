"""Responses that go wrong on their way: the faults of transport as bytes on the wire."""

from dataclasses import replace
from email.utils import formatdate

from kcx_jax.testing.llm_server.http import Response, refusal

HTML = b"<!doctype html><html><body><h1>Something went wrong</h1></body></html>"
DROPPED = Response(0, b"", cut=-1)


def unbilled(fault: str, now: float, retry_after: float) -> Response:
    """What a fault of `llm_faults.UNBILLED` sends in place of an answer."""
    waits = {
        "rate_limit": {"retry-after-ms": f"{1000 * retry_after:.0f}"},
        "retry_after_seconds": {"retry-after": "1"},
        "retry_after_date": {
            "date": formatdate(now, usegmt=True),
            "retry-after": formatdate(now + 1, usegmt=True),
        },
        "retry_after_absurd": {"retry-after": "1000000000"},
        "retry_after_negative": {"retry-after": "-1"},
        "retry_after_missing": {},
    }
    if fault in waits:
        return refusal(429, "Rate limit reached", code="rate_limit_exceeded", headers=waits[fault])
    if fault in ("bad_gateway", "html"):
        return Response(502 if fault == "bad_gateway" else 200, HTML, {"content-type": "text/html"})
    return {
        "quota": refusal(429, "You exceeded your current quota", code="insufficient_quota"),
        "server_error": refusal(500, "The server had an error"),
        "unavailable": refusal(503, "The engine is currently overloaded"),
        "overloaded": refusal(529, "Overloaded", code="overloaded_error"),
        "error_body": replace(refusal(200, "The provider returned an error"), status=200),
        "hang": DROPPED,
        "drop": DROPPED,
        "reset": replace(DROPPED, reset=True),
    }[fault]


def lost(response: Response, fault: str | None, drip: float) -> Response:
    """`response` as a fault of `llm_faults.LOST` sends it; any other leaves it as it is."""
    body, half = response.body, len(response.body) // 2
    if fault == "reset_billed":
        return replace(response, cut=-1, reset=True)
    if fault == "gateway_timeout":
        return Response(504, HTML, {"content-type": "text/html"})
    if fault == "partial_body":
        return replace(response, cut=half)
    if fault == "wrong_length":
        return replace(response, length=half)
    if fault == "gzip_garbage":
        headers = {**response.headers, "content-encoding": "gzip"}
        return replace(response, body=bytes(byte ^ 0x5A for byte in body), headers=headers)
    return replace(response, drip=drip) if fault == "drip" else response
