"""Answers as server-sent events, while they are written."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from kcx_jax.errors import KcxError
from kcx_jax.serving.errors import ApiError, as_api_error, error_body

END = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    """A value as an event."""
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def error_event(error: ApiError) -> bytes:
    """What is said in a stream that cannot go on."""
    return event(error_body(error))


class EventStream(Response):
    """A stream of ready events, which is over when they are.

    What goes wrong before the first of them is raised and becomes a status; afterwards it is an event of its own.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes]):
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        async with aclosing(self._events) as events:  # so that a slot is free as soon as nobody reads
            body = await anext(events)
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            try:
                await send({"type": "http.response.body", "body": body, "more_body": True})
                async for body in events:
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            except Exception as error:
                await send({"type": "http.response.body", "body": error_event(as_api_error(error))})
                if not isinstance(error, KcxError | ApiError):
                    raise  # a bug, for the log
            else:
                await send({"type": "http.response.body"})
