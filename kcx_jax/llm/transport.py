"""Connections to one endpoint, within one event loop: a slot to send in, a shared gate, a deadline."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from kcx_jax.llm.retry import Failure, classify


@dataclass(frozen=True)
class Answer:
    """A body that came back with a status below 400."""

    body: bytes
    http_status: int
    request_id: str | None


class Transport:
    """The `openai` package with its retries off, bound to the running event loop."""

    def __init__(self, base_url: str, api_key: str, *, local: bool, concurrency: int, timeout: float):
        import openai

        self.loop = asyncio.get_running_loop()
        # A proxy from the environment cannot reach this machine's own loopback address.
        http_client = openai.DefaultAsyncHttpxClient(trust_env=False) if local else None
        self._sdk = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout, http_client=http_client
        )
        # Found here, as it imports half of the SDK: that must not count against a request's deadline.
        self._create = self._sdk.chat.completions.with_raw_response.create
        self._timeout = timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._not_before = 0.0  # in the loop's time

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until one more request may be under way, and for the gate of a rate limit."""
        async with self._slots:
            while (wait := self._not_before - self.loop.time()) > 0:
                await asyncio.sleep(wait)
            yield

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: the endpoint asked for it."""
        self._not_before = max(self._not_before, self.loop.time() + seconds)

    async def post(self, body: dict[str, Any]) -> Answer | Failure:
        """Send one Chat Completions request, once."""
        import openai

        try:
            # The SDK's time-out is per read: a server that drips a byte a second would never meet it.
            async with asyncio.timeout(self._timeout):
                raw = await self._create(**body)
        except (openai.APIError, TimeoutError) as error:
            return classify(error)
        response = raw.http_response
        return Answer(response.content, response.status_code, response.headers.get("x-request-id"))

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()
