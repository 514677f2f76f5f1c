"""Around everything: a request's id, a line of the log without a word of its texts, metrics, security headers."""

import logging
import re
import time
import traceback
import uuid
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kcx_jax.serving.metrics import Metrics
from kcx_jax.serving.requests import counts_of

LOG = logging.getLogger("kcx.serve")
GONE = 499  # in the log: whoever asked had gone before there was a status
_PROBES = ("/health", "/ready", "/metrics")  # asked for every few seconds
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The page loads its own style and script, and asks this server alone.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Observed:
    """The outermost application. `paths` are those of the routes, by which requests are told and counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Iterable[str]):
        self.app, self.metrics, self.paths = app, metrics, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        name = asked if _ID.fullmatch(asked) else uuid.uuid4().hex
        status, begun, failure = GONE, time.monotonic(), None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = name
                for header, value in _HEADERS.items():
                    headers[header] = value
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:  # a bug; its answer is sent
            failure = error
        finally:
            self._note(scope, name, status, time.monotonic() - begun, failure)

    def _note(self, scope: Scope, name: str, status: int, seconds: float, failure: Exception | None) -> None:
        # No other path is told as it is: a text may stand there.
        route = (
            scope["path"] if scope["path"] in self.paths else getattr(scope.get("route"), "path", "unknown")
        )
        counts = counts_of(scope)
        self.metrics.note(route, scope["method"], status, seconds, counts)
        fields: dict[str, Any] = {
            "event": "request",
            "id": name,
            "method": scope["method"],
            "route": route,
            "status": status,
            "seconds": round(seconds, 6),
            **counts,
        }
        if failure is None:
            level = logging.DEBUG if route in _PROBES else logging.INFO
            LOG.log(level, "request", extra={"fields": fields})
        else:
            LOG.error("request", extra={"fields": fields | failure_fields(failure)})


def failure_fields(error: BaseException) -> dict[str, Any]:
    """Where an error came from, without its message, in which a text may stand."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "trace": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
