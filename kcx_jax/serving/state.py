"""What a server does now: whether it takes requests, which are under way, and what answers them."""

import asyncio
import math
from dataclasses import dataclass
from typing import Literal

from kcx_jax.serving.errors import ApiError
from kcx_jax.serving.service import Service
from kcx_jax.serving.settings import Settings

SHUTTING_DOWN = ApiError(503, "The server is shutting down; ask another one.", code="shutting_down")
_LOADING = ApiError(
    503, "The model is being loaded; /ready says when it is.", code="loading", headers={"Retry-After": "5"}
)
_MOST_SECONDS = 60  # of Retry-After


@dataclass(eq=False)
class Call:
    """A request under way, which ends by itself or is ended with a reason; None where nobody hears it."""

    deadline: asyncio.Timeout
    reason: ApiError | None = None

    def end(self, reason: ApiError | None) -> None:
        """Cancel the request."""
        if not self.deadline.expired():
            self.reason = reason
            self.deadline.reschedule(asyncio.get_running_loop().time())


class ServerState:
    """Shared by the parts of one server. All but `service` and `phase` is touched on the event loop alone."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.phase: Literal["loading", "ready", "draining"] = "loading"
        self._service: Service | None = None
        self._calls: set[Call] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._mean_seconds = 1.0

    @property
    def service(self) -> Service:
        """What answers; `ApiError` 503 before it is there."""
        if self._service is None:
            raise _LOADING
        return self._service

    @property
    def loaded(self) -> Service | None:
        """What answers, once it is there."""
        return self._service

    @property
    def under_way(self) -> int:
        """Requests that were taken and are not answered yet."""
        return len(self._calls)

    def ready(self, service: Service) -> None:
        """Take requests from now on."""
        self._service = service
        if self.phase == "loading":
            self.phase = "ready"

    def unready(self) -> ApiError | None:
        """Why the server is not ready, if it is not."""
        if self.phase == "draining":
            return SHUTTING_DOWN
        if self._service is None:
            return _LOADING
        failed = self._service.engine.figures().failed
        return (
            None if failed is None else ApiError(503, f"The engine is dead: {failed}", code="engine_failed")
        )

    def refusal(self) -> ApiError | None:
        """Why no request is taken now, if none is."""
        if (unready := self.unready()) is not None:
            return unready
        if len(self._calls) >= self.settings.queue:
            # A full queue has gone by after about the time that a request takes.
            seconds = min(_MOST_SECONDS, math.ceil(self._mean_seconds))
            return ApiError(
                429,
                f"{len(self._calls)} requests wait already, as many as may. Send it again later.",
                code="queue_full",
                headers={"Retry-After": str(seconds)},
            )
        return None

    def begin(self, call: Call) -> None:
        """A request was taken."""
        self._calls.add(call)
        self._idle.clear()

    def finish(self, call: Call, seconds: float) -> None:
        """It is over."""
        self._calls.discard(call)
        self._mean_seconds += 0.1 * (seconds - self._mean_seconds)
        if not self._calls:
            self._idle.set()

    async def drain(self) -> None:
        """Take no more requests, and return when those under way are over; those that take too long are ended."""
        self.phase = "draining"
        try:
            await asyncio.wait_for(self._idle.wait(), self.settings.drain)
        except TimeoutError:
            self.end_all()
            await self._idle.wait()

    def end_all(self) -> None:
        """End what is under way, with an error that says why."""
        for call in list(self._calls):
            call.end(SHUTTING_DOWN)
