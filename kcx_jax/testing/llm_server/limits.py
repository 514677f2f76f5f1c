"""Requests and tokens a minute, over a sliding window."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from kcx_jax.testing.llm_server.http import Refused, refusal


@dataclass(frozen=True)
class Limits:
    """None: unlimited. ``minute``: how long a minute is, in seconds, for tests in a hurry."""

    requests: int | None = None
    tokens: int | None = None
    minute: float = 60.0


class Window:
    """What was let through within the last minute. Refused requests do not count against it."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._taken: deque[tuple[float, int]] = deque()
        self._tokens = 0

    def take(self, tokens: int, now: float) -> dict[str, str]:
        """Let one request through and return its x-ratelimit headers; raises `Refused` (429)."""
        limits = self._limits
        while self._taken and self._taken[0][0] <= now - limits.minute:
            self._tokens -= self._taken.popleft()[1]
        waits = {"requests": self._wait_for_request(now), "tokens": self._wait_for_tokens(tokens, now)}
        kind = max(waits, key=lambda name: waits[name])
        if waits[kind] <= 0:
            self._taken.append((now, tokens))
            self._tokens += tokens
            return self._headers(now)
        headers = self._headers(now)
        if math.isfinite(waits[kind]):
            headers["retry-after"] = str(math.ceil(waits[kind]))
            headers["retry-after-ms"] = str(math.ceil(1000 * waits[kind]))
        message = f"Rate limit reached: {getattr(limits, kind)} {kind} a minute."
        raise Refused(refusal(429, message, code="rate_limit_exceeded", headers=headers))

    def _wait_for_request(self, now: float) -> float:
        limit = self._limits.requests
        if limit is None or len(self._taken) < limit:
            return 0.0
        if not limit:
            return math.inf
        return self._taken[len(self._taken) - limit][0] + self._limits.minute - now

    def _wait_for_tokens(self, tokens: int, now: float) -> float:
        """Seconds until enough of what was taken is older than a minute; infinite for what never fits."""
        limit = self._limits.tokens
        if limit is None or self._tokens + tokens <= limit:
            return 0.0
        left = self._tokens
        for when, taken in self._taken:
            left -= taken
            if left + tokens <= limit:
                return when + self._limits.minute - now
        return math.inf

    def _headers(self, now: float) -> dict[str, str]:
        used = {"requests": len(self._taken), "tokens": self._tokens}
        last = self._taken[-1][0] if self._taken else now - self._limits.minute
        reset = f"{1000 * (last + self._limits.minute - now):.0f}ms"
        headers = {}
        for kind, taken in used.items():
            limit = getattr(self._limits, kind)
            if limit is not None:
                headers[f"x-ratelimit-limit-{kind}"] = str(limit)
                headers[f"x-ratelimit-remaining-{kind}"] = str(max(limit - taken, 0))
                headers[f"x-ratelimit-reset-{kind}"] = reset
        return headers


def asked_tokens(body: Mapping[str, object], prompt: int) -> int:
    """What a request counts for: its prompt and the most it may get."""
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    return prompt + (most if isinstance(most, int) and most > 0 else 0)
