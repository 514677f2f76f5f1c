"""Connections to one endpoint, within one event loop: raw bytes out, raw bytes back, each once, by a deadline."""

import asyncio
import contextlib
from collections.abc import Mapping
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
    """The `openai` package with its retries off, bound to the running event loop.

    Bodies go and come raw: the SDK's own models cost more time than the request, and lose a paid reply whose
    body is broken. Its aiohttp transport carries 1,000 requests at once, the default one does not.
    """

    def __init__(self, base_url: str, api_key: str, *, local: bool, concurrency: int, timeout: float):
        import httpx2
        import openai

        self.loop = asyncio.get_running_loop()
        limits = httpx2.Limits(max_connections=concurrency, keepalive_expiry=30.0)
        # A proxy from the environment cannot reach this machine's own loopback address.
        http_client = openai.DefaultAioHttpClient(limits=limits, trust_env=not local)
        self.sdk = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout, http_client=http_client
        )
        self._raw = httpx2.Response
        self._timeout = timeout

    async def post(self, path: str, body: bytes) -> Answer | Failure:
        """Send one request, once."""
        return await self._send(lambda: self.sdk.post(path, cast_to=self._raw, content=body))

    async def get(self, path: str, query: Mapping[str, str]) -> Answer | Failure:
        """Fetch `path`, once."""
        options: Any = {"params": dict(query)}
        return await self._send(lambda: self.sdk.get(path, cast_to=self._raw, options=options))

    async def _send(self, request) -> Answer | Failure:
        import aiohttp
        import httpx2
        import openai

        try:
            # The SDK's time-out is per read: a server that drips a byte a second would never meet it.
            async with asyncio.timeout(self._timeout):
                response = await request()
        except (openai.APIError, httpx2.HTTPError, aiohttp.ClientError, TimeoutError) as error:
            # The SDK lets some of its transport's errors through as they are.
            return classify(error)
        return Answer(response.content, response.status_code, response.headers.get("x-request-id"))

    async def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(RuntimeError):
            await self.sdk.close()
