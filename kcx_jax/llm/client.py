"""A chat client for any OpenAI-compatible endpoint: one request, one answer, kept before it is read.

Sending goes through the `openai` package with its own retries off: each attempt is entered in the ledger, and
waiting at a rate limit is shared by all requests of the client.
"""

import asyncio
import copy
import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from kcx_jax.errors import BudgetExceeded, UsageError
from kcx_jax.llm import retry as on
from kcx_jax.llm.blocking import LoopThread
from kcx_jax.llm.ledger import Ledger, NoLedger
from kcx_jax.llm.reply import BodyFault, EndpointError, NotAnswered, Reply, ReplyError, Usage, read_body
from kcx_jax.llm.retry import Failure, RetryPolicy
from kcx_jax.llm.transport import Answer, Transport

Messages = Sequence[Mapping[str, str]]
OPENAI_URL = "https://api.openai.com/v1"
# What may be left out when an endpoint refuses it: the request keeps its meaning.
OPTIONAL = ("response_format", "temperature")


class ChatClient:
    """A model behind a Chat Completions endpoint.

    `base_url` falls back to the variable OPENAI_BASE_URL, then to OpenAI; `api_key` to OPENAI_API_KEY (a
    server on this machine needs none). `concurrency` requests are under way at once, each at most `timeout`
    seconds in all. With a `ledger` no request is sent twice once it was answered, in this process or a later
    one; an ``offline`` client has nothing but the ledger. Raises `UsageError` when a needed key is absent.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        ledger: Ledger | None = None,
        concurrency: int = 8,
        timeout: float = 120.0,
        *,
        temperature: float | None = 0.0,
        retry: RetryPolicy | None = None,
        offline: bool = False,
    ):
        self.model = model
        self.base_url = (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).rstrip("/")
        self.ledger = ledger or NoLedger()
        self.offline = offline
        self.concurrency, self.timeout, self.temperature = concurrency, timeout, temperature
        self.policy = retry or RetryPolicy()
        self._local = _host(self.base_url) in ("localhost", "127.0.0.1", "::1")
        self._api_key = "" if offline else _find_key(api_key, self.base_url, self._local)
        self._forget()

    def _forget(self) -> None:
        self._transport: Transport | None = None
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._left_out: set[str] = set()  # optional parameters this endpoint refused
        self._failures = 0  # requests in a row without an answer

    def with_ledger(self, ledger: Ledger) -> "ChatClient":
        """The same client, keeping its calls in `ledger`."""
        other = copy.copy(self)
        other.ledger = ledger
        other._forget()
        return other

    def settings(self) -> dict[str, Any]:
        """What of this client decides an answer, as JSON values (no key, no ledger)."""
        return {"model": self.model, "base_url": self.base_url, "temperature": self.temperature}

    async def complete(
        self,
        messages: Messages,
        json_schema: Mapping[str, Any] | None = None,
        *,
        max_tokens: int | None = None,
        stage: str = "",
        record: str = "",
    ) -> Reply:
        """The model's reply to `messages` (dicts with ``role`` and ``content``).

        `json_schema` asks for a JSON object of that schema, by the endpoint's structured output or, where it
        has none, in words; the text is not checked against it. `stage` and `record` label the ledger's rows.
        Raises `ReplyError` (this request got no usable reply), `EndpointError` or `BudgetExceeded` (stop).
        """
        request = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "json_schema": json_schema,
            "temperature": self.temperature,
            "max_tokens": max_tokens,
        }
        key = self._key(request)
        async with self._turn(key):  # of two equal requests the second finds the first one's answer
            bodies = self.ledger.answers(key)
            call: int | None = None
            while True:
                if bodies:
                    try:
                        reply = read_body(bodies[-1], len(bodies), cached=call is None)
                    except BodyFault as fault:
                        self._judge(call, fault.usage, error_class=fault.error_class)
                        if fault.final or len(bodies) >= self.policy.answers:
                            raise ReplyError(fault.error_class, f"{self.model}: {fault.detail}") from None
                    else:
                        self._judge(call, reply.usage, finish_reason=reply.finish_reason)
                        return reply
                call, body = await self._fetch(request, key, stage, record)
                bodies.append(body)

    def complete_many(
        self,
        conversations: Iterable[Messages],
        json_schema: Mapping[str, Any] | None = None,
        *,
        max_tokens: int | None = None,
        stage: str = "",
    ) -> Iterator[Reply | ReplyError]:
        """The replies to many conversations, in order, as they come; blocks, needs no event loop.

        Reads `conversations` only as far ahead as `concurrency` needs. A request that got no usable reply
        takes its place in the stream as its `ReplyError`; what stops the run is raised.
        """
        window: deque[Future[Reply | ReplyError]] = deque()

        async def ask(messages: Messages) -> Reply | ReplyError:
            try:
                return await self.complete(messages, json_schema, max_tokens=max_tokens, stage=stage)
            except ReplyError as error:
                return error

        with LoopThread() as loop:
            try:
                for messages in conversations:
                    window.append(loop.submit(ask(messages)))
                    if len(window) >= 2 * self.concurrency:
                        yield window.popleft().result()
                while window:
                    yield window.popleft().result()
            finally:
                loop.submit(self.aclose()).result()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if self._transport is not None and self._transport.loop is asyncio.get_running_loop():
            transport, self._transport = self._transport, None
            await transport.close()

    def _connection(self) -> Transport:
        if self._transport is None or self._transport.loop is not asyncio.get_running_loop():
            self._transport = Transport(
                self.base_url,
                self._api_key,
                local=self._local,
                concurrency=self.concurrency,
                timeout=self.timeout,
            )
        return self._transport

    def _turn(self, key: bytes) -> asyncio.Lock:
        return self._turns.setdefault(key, asyncio.Lock())

    def _key(self, request: dict[str, Any]) -> bytes:
        # A server on this machine may come back on another port: it is the same endpoint.
        path = urlsplit(self.base_url).path
        text = json.dumps(
            [f"loopback{path}" if self._local else self.base_url, request], ensure_ascii=False, sort_keys=True
        )
        try:
            return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
        except UnicodeEncodeError:
            raise ReplyError(
                on.BAD_REQUEST, "the request holds a lone surrogate, which is no text; clean the input"
            ) from None

    async def _fetch(self, request: dict[str, Any], key: bytes, stage: str, record: str) -> tuple[int, bytes]:
        """Send until a body comes back; each send is a call of the ledger."""
        if self.offline:
            raise NotAnswered(f"the ledger holds no answer for {stage or 'this request'} {record}".rstrip())
        transport = self._connection()
        sends, waited = 0, 0.0
        while True:
            async with transport.slot():
                body = self._body(request)
                text = json.dumps(body, ensure_ascii=False)
                call = self.ledger.intend(key, stage=stage, record=record, model=self.model, request=text)
                try:
                    result = await transport.post(body)
                except asyncio.CancelledError:
                    self.ledger.fail(call, Failure(on.CANCELLED, "stopped while waiting for the reply"))
                    raise
            if isinstance(result, Answer):
                self._failures = 0
                self.ledger.answer(call, result)
                return call, result.body
            self.ledger.fail(call, result)
            if self._leave_out(result, body):
                continue
            if result.error_class == on.RATE_LIMITED:
                wait = self.policy.wait(sends + 1) if result.retry_after is None else result.retry_after
                waited += wait
                self._check_patience(result, waited)
                transport.hold(wait)
            else:
                sends += 1
                self._check_failure(result, sends)
                await asyncio.sleep(result.retry_after or self.policy.wait(sends))

    def _body(self, request: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {"model": request["model"], "messages": request["messages"]}
        if request["temperature"] is not None and "temperature" not in self._left_out:
            body["temperature"] = request["temperature"]
        if request["max_tokens"] is not None:
            body["max_completion_tokens"] = request["max_tokens"]
        schema = request["json_schema"]
        if schema is not None and "response_format" not in self._left_out:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": schema},
            }
        elif schema is not None:
            body["messages"] = _schema_in_words(request["messages"], schema)
        return body

    def _leave_out(self, failure: Failure, body: dict[str, Any]) -> bool:
        """Whether the endpoint refused an optional parameter: it is left out from here on."""
        if failure.error_class != on.BAD_REQUEST:
            return False
        complaint = f"{failure.param or ''} {failure.message}".replace("json_schema", "response_format")
        refused = {name for name in OPTIONAL if name in body and name in complaint}
        self._left_out |= refused
        return bool(refused)

    def _check_patience(self, failure: Failure, waited: float) -> None:
        if waited > self.policy.patience:
            raise BudgetExceeded(
                f"{self.base_url} limits the rate of {self.model} and asks to wait {waited:.0f} s in all "
                f"({failure.message}). Continue later with the same command, or lower the concurrency."
            )

    def _check_failure(self, failure: Failure, sends: int) -> None:
        """Raise unless the request may be sent again."""
        kind, told = failure.error_class, failure.message
        if kind == on.QUOTA:
            raise BudgetExceeded(
                f"the account behind {self.base_url} has no quota left ({told}). Top it up, then run the "
                "same command: what was answered is kept."
            )
        if kind == on.REFUSED:
            raise EndpointError(
                f"{self.base_url} refused model {self.model!r} ({told}). Check the key, model and URL."
            )
        if kind == on.UNREACHABLE and sends >= min(3, self.policy.sends):
            raise EndpointError(
                f"cannot reach {self.base_url} ({told}). Is the server running, the URL right?"
            )
        if kind == on.BAD_REQUEST or sends >= self.policy.sends:
            self._failures += 1
            if self._failures >= self.policy.breaker:
                raise EndpointError(
                    f"{self.base_url}: {self._failures} requests in a row got no answer, the last one {kind} "
                    f"({told}). Stopped; the same command continues from here."
                )
            raise ReplyError(kind, f"{self.model}: {told} (sent {sends} times)")

    def _judge(
        self, call: int | None, usage: Usage, error_class: str | None = None, finish_reason: str | None = None
    ) -> None:
        if call is not None:
            self.ledger.judge(call, usage, error_class=error_class, finish_reason=finish_reason)


def _schema_in_words(messages: list[dict[str, str]], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    words = "Reply with one JSON object and nothing else. It has to satisfy this JSON Schema:\n" + json.dumps(
        schema, ensure_ascii=False
    )
    first, rest = messages[0], messages[1:]
    if first["role"] != "system":
        return [{"role": "system", "content": words}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{words}"}, *rest]


def _host(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise UsageError(f"{base_url!r} is no endpoint; give a URL such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password:
        raise UsageError("the endpoint's URL holds a password; pass the key as an API key instead")
    return host


def _find_key(api_key: str | None, base_url: str, local: bool) -> str:
    key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if local else "")
    if not key:
        raise UsageError(
            f"no API key for {base_url}. Set OPENAI_API_KEY, or name the variable that holds it."
        )
    return key
