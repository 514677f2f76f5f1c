"""Around every request for answers: whether it is taken, and how long it may take.

It ends early at its deadline, when whoever asked has gone, and when the server cannot wait for it any longer; what the
engine does for it is then cancelled with it.
"""

import asyncio
import contextlib
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kcx_jax.serving.errors import ApiError, error_response
from kcx_jax.serving.state import Call, ServerState
from kcx_jax.serving.streaming import error_event

_LAST_WORDS = 1.0  # seconds for telling a reader of a stream why it ends


class UnderWay:
    """The middleware."""

    def __init__(self, app: ASGIApp, state: ServerState):
        self.app, self.state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
        elif refusal := self.state.refusal():
            await error_response(refusal)(scope, receive, send)
        else:
            await self._take(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        call, begun = None, time.monotonic()
        try:
            async with asyncio.timeout(self.state.settings.timeout) as deadline:
                call = Call(deadline)
                self.state.begin(call)
                client = _Client(receive, call)
                try:
                    await self.app(scope, client.receive, sending)
                finally:
                    client.forget()
        except TimeoutError:
            if call is None or not call.deadline.expired():
                raise
            if client.gone.is_set():
                return
            error = call.reason or self._too_late(client)
            if not started:
                await error_response(error)(scope, receive, send)
            else:
                with contextlib.suppress(TimeoutError, OSError):
                    async with asyncio.timeout(
                        _LAST_WORDS
                    ):  # a slow reader may not have taken the rest either
                        body = {"type": "http.response.body", "body": error_event(error)}
                        await send(body)
        finally:
            if call is not None:
                self.state.finish(call, time.monotonic() - begun)

    def _too_late(self, client: "_Client") -> ApiError:
        seconds = f"{self.state.settings.timeout:g} seconds"
        if not client.heard:
            return ApiError(408, f"The body of the request did not arrive within {seconds}.", code="timeout")
        return ApiError(
            504, f"The answer was not ready within {seconds}. Ask for less at once, or later.", code="timeout"
        )


class _Client:
    """Whoever asked: hears the body, then watches whether they are still there."""

    def __init__(self, receive: Receive, call: Call):
        self._receive, self._call = receive, call
        self.heard = False  # the whole body is here
        self.gone = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """The next part of the body; behind its end, that they have gone, once they have."""
        if self.heard:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.heard = True
            self._leave()
        elif not message.get("more_body", False):
            self.heard = True
            self._watch = asyncio.create_task(self._until_gone())
        return message

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        self.gone.set()
        self._call.end(None)

    def forget(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.cancel()
