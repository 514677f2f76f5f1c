"""When a request is sent again, by what went wrong with it."""

import asyncio
import email.utils
import json
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNREACHABLE, CONNECTION, TIMEOUT, SERVER = "unreachable", "connection", "timeout", "server"
RATE_LIMITED, QUOTA, REFUSED, BAD_REQUEST = "rate_limited", "quota", "refused", "bad_request"
CANCELLED = "cancelled"
# A gateway's statuses for a server that did not answer it in time, and may have done the work.
GATEWAY_TIMEOUTS = (504, 524)


@dataclass(frozen=True)
class RetryPolicy:
    """How stubborn a client is. Times in seconds.

    ``sends``: times one request is sent before lost connections, time-outs and 5xx end it. ``answers``:
    bodies taken for one request before unusable ones end it. ``first_wait`` doubles up to ``longest_wait``,
    with jitter. ``patience``: the longest one request waits at rate limits, all waits together.
    ``breaker``: requests in a row that end without an answer before the run stops.
    """

    sends: int = 5
    answers: int = 3
    first_wait: float = 0.5
    longest_wait: float = 30.0
    patience: float = 600.0
    breaker: int = 5

    def wait(self, sends: int) -> float:
        """Seconds to wait after the `sends`-th failed send; unseeded jitter, as no result depends on it."""
        return random.uniform(0.1, 1.0) * min(self.first_wait * 2 ** min(sends - 1, 60), self.longest_wait)


@dataclass(frozen=True)
class Failure:
    """A request that got no answer."""

    error_class: str
    message: str
    http_status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None
    param: str | None = None
    body: bytes | None = None
    unsure: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether the endpoint may have done (and billed) the work all the same."""
        return self.unsure or self.error_class in (CONNECTION, TIMEOUT, CANCELLED)


def classify(error: Exception) -> Failure:
    """Sort an exception of the SDK or its HTTP client, or a `TimeoutError` of our own deadline, into a `Failure`."""
    import aiohttp
    import openai

    if isinstance(error, openai.APIStatusError):
        response = error.response
        return classify_status(
            response.status_code, response.reason_phrase, response.headers, response.content
        )
    # The client calls much a time-out that was none: what aiohttp said stands at the bottom.
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
        if isinstance(cause, aiohttp.ClientError):
            break
    if isinstance(cause, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return Failure(UNREACHABLE, str(cause))
    if isinstance(cause, TimeoutError | asyncio.CancelledError | aiohttp.ServerTimeoutError):
        return Failure(TIMEOUT, "no complete reply in time")
    return Failure(CONNECTION, str(cause) or type(cause).__name__)


def classify_status(status: int, reason: str, headers: Mapping[str, str], body: bytes) -> Failure:
    """Sort a response whose status is none of success; `headers` finds names in any case."""
    error = _error_in(body)
    if "insufficient_quota" in (error.get("code"), error.get("type")) or status == 402:
        kind = QUOTA
    elif status == 429:
        kind = RATE_LIMITED
    elif status in (401, 403, 404):
        kind = REFUSED
    elif status in (408, 409) or status >= 500:
        kind = SERVER
    else:
        kind = BAD_REQUEST
    message = str(error.get("message") or body.decode(errors="replace") or reason)
    return Failure(
        kind,
        f"HTTP {status}: {message[:300]}",
        http_status=status,
        request_id=headers.get("x-request-id"),
        retry_after=_retry_after(headers),
        param=str(error["param"]) if error.get("param") else None,
        body=body,
        unsure=status in GATEWAY_TIMEOUTS,
    )


def _error_in(body: bytes) -> dict[str, Any]:
    """The error that a body states, in OpenAI's form or bare; empty where it states none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error = value.get("error", value) if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date.

    A date is told by the endpoint's clock where it gives its ``Date``: this machine's may be wrong.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    until, now = _date(headers, "retry-after"), _date(headers, "date")
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _date(headers: Mapping[str, str], name: str) -> float | None:
    """The date in a header, in seconds since 1970; None where there is none."""
    try:
        return email.utils.parsedate_to_datetime(headers[name]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
