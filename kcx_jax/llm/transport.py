"""Connections to one endpoint, within one event loop: raw bytes out, raw bytes back, each once, by a deadline."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kcx_jax.llm.retry import Failure, classify, classify_status


@dataclass(frozen=True)
class Answer:
    """A body that came back with a status of success."""

    body: bytes
    http_status: int
    request_id: str | None


class Transport:
    """The Chat Completions of an endpoint, and the `openai` package (`sdk`, its retries off) for the rest, bound to
    the running event loop.

    Completions go over the SDK's HTTP client but past its request and response models, which cost more time than
    the request and lose a paid reply whose body is broken. Its aiohttp transport carries 1,000 requests at once,
    the default one does not.
    """

    def __init__(self, base_url: str, api_key: str, *, local: bool, concurrency: int, timeout: float):
        import httpx2
        import openai

        self.loop = asyncio.get_running_loop()
        limits = httpx2.Limits(max_connections=concurrency, keepalive_expiry=30.0)
        # A proxy from the environment cannot reach this machine's own loopback address.
        self._http = openai.DefaultAioHttpClient(limits=limits, trust_env=not local)
        self.sdk = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout, http_client=self._http
        )
        headers = {**self.sdk.default_headers, **self.sdk.auth_headers}
        # Without what the package tells of itself, and what is no text: the environment did not name it.
        kept = {
            name: text
            for name, text in headers.items()
            if isinstance(text, str) and not name.startswith("X-Stainless")
        }
        self._headers = httpx2.Headers(kept)
        self._chat = httpx2.URL(f"{base_url}/chat/completions")
        self._request = httpx2.Request
        self._timeout = timeout

    async def post(self, body: bytes) -> Answer | Failure:
        """Ask for a completion, once."""
        return await self._send(self._request("POST", self._chat, headers=self._headers, content=body))

    async def get(self, query: Mapping[str, str]) -> Answer | Failure:
        """Fetch the stored completions that match `query`, once."""
        return await self._send(self._request("GET", self._chat, headers=self._headers, params=dict(query)))

    async def _send(self, request: Any) -> Answer | Failure:
        import aiohttp
        import httpx2

        try:
            # A time-out of the client's own is per read: a server that drips a byte a second would never meet it.
            async with asyncio.timeout(self._timeout):
                response = await self._http.send(request)
        except (httpx2.HTTPError, aiohttp.ClientError, TimeoutError) as error:
            # The client lets some of its transport's errors through as they are.
            return classify(error)
        if not response.is_success:
            return classify_status(response)
        return Answer(response.content, response.status_code, response.headers.get("x-request-id"))

    async def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(RuntimeError):
            await self.sdk.close()
