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

    Completions go with the package's headers and certificates, but past its request and response models and its HTTP
    client, which cost more time than the request and lose a paid reply whose body is broken: straight to aiohttp,
    which carries 1,000 requests at once where the package's default does not.
    """

    def __init__(self, base_url: str, api_key: str, *, local: bool, concurrency: int, timeout: float):
        import aiohttp
        import httpx2
        import openai

        self.loop = asyncio.get_running_loop()
        # A proxy from the environment cannot reach this machine's own loopback address.
        limits = httpx2.Limits(max_connections=concurrency, keepalive_expiry=30.0)
        http = openai.DefaultAioHttpClient(limits=limits, trust_env=not local)
        self.sdk = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout, http_client=http
        )
        headers = {**self.sdk.default_headers, **self.sdk.auth_headers}
        self._session = aiohttp.ClientSession(
            # Without what the package tells of itself, and what is no text: the environment did not name it.
            headers={
                name: text
                for name, text in headers.items()
                if isinstance(text, str) and not name.startswith("X-Stainless")
            },
            connector=aiohttp.TCPConnector(
                limit=concurrency, keepalive_timeout=30.0, ssl=httpx2.create_ssl_context(trust_env=not local)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A time-out of the session's own is none for a server that drips a byte a second: see `_send`.
            timeout=aiohttp.ClientTimeout(),
            trust_env=not local,
        )
        self._chat = f"{base_url}/chat/completions"
        self._timeout = timeout

    async def post(self, body: bytes) -> Answer | Failure:
        """Ask for a completion, once."""
        return await self._send("POST", data=body)

    async def get(self, query: Mapping[str, str]) -> Answer | Failure:
        """Fetch the stored completions that match `query`, once."""
        return await self._send("GET", params=query)

    async def _send(self, method: str, **what: Any) -> Answer | Failure:
        import aiohttp

        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(method, self._chat, **what) as response,
            ):
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            return classify(error)
        if not 200 <= response.status < 300:
            return classify_status(response.status, response.reason or "", response.headers, body)
        return Answer(body, response.status, response.headers.get("x-request-id"))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        with contextlib.suppress(RuntimeError):
            await self.sdk.close()
