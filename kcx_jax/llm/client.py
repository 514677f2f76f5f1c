"""A chat client for any OpenAI-compatible endpoint: one request, one answer, kept before it is read."""

import asyncio
import copy
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from kcx_jax.errors import UsageError
from kcx_jax.llm.batches import BatchSender, BatchSettings
from kcx_jax.llm.blocking import LoopThread
from kcx_jax.llm.budget import Budget
from kcx_jax.llm.ledger import Ledger, NoLedger
from kcx_jax.llm.limits import Limits
from kcx_jax.llm.prices import Price, may_think
from kcx_jax.llm.reply import BodyFault, NotAnswered, Reply, ReplyError, read_body
from kcx_jax.llm.request import Messages, Request
from kcx_jax.llm.retry import RetryPolicy
from kcx_jax.llm.sending import Sender, Sent
from kcx_jax.llm.transport import Transport

OPENAI_URL = "https://api.openai.com/v1"


class ChatClient:
    """A model behind a Chat Completions endpoint.

    `base_url` falls back to the variable OPENAI_BASE_URL, then to OpenAI; `api_key` to OPENAI_API_KEY (a
    server on this machine needs none). `concurrency` requests are under way at once, each at most `timeout`
    seconds in all, as fast as `limits` allow. With a `ledger` no request is sent twice once it was answered,
    in this process or a later one; an ``offline`` client has nothing but the ledger. `price` is what calls
    are billed at (None: their cost is unknown), and `budget` what they may cost. With ``exactly_once`` the
    endpoint is told to keep its completions, and one whose reply was lost is looked up before it is asked for
    again. With `batch` they go through the Batch API. Several threads may ask one client, unless it has a `budget`,
    which is that of one event loop. Raises `UsageError` when a needed key is absent, for a budget without a price, and
    for a request without `batch` while an earlier start's batches are at the endpoint.
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
        limits: Limits | None = None,
        price: Price | None = None,
        budget: Budget | None = None,
        exactly_once: bool = False,
        batch: BatchSettings | None = None,
        offline: bool = False,
    ):
        self.model = model
        self.base_url = (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).rstrip("/")
        self.ledger = ledger or NoLedger()
        self.offline = offline
        self.concurrency, self.timeout, self.temperature = concurrency, timeout, temperature
        self.policy, self.limits = retry or RetryPolicy(), limits or Limits()
        self.price, self.budget, self.exactly_once = price, budget or Budget(), exactly_once
        self.batch = batch
        self._check_budget()
        self._local = _host(self.base_url) in ("localhost", "127.0.0.1", "::1")
        self._api_key = "" if offline else _find_key(api_key, self.base_url, self._local)
        self._forget()

    def _check_budget(self) -> None:
        if self.budget.limit is not None and self.price is None:
            raise UsageError(
                f"a budget needs the price of {self.model!r}, which the price file does not have. Add a row for "
                "it to a file of your own."
            )

    def _forget(self) -> None:
        # Callers in several threads have an event loop each, and nothing of one is of use in another.
        self._senders: dict[asyncio.AbstractEventLoop, Sender | BatchSender] = {}
        self._turns: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, bytes], asyncio.Lock] = (
            WeakValueDictionary()
        )

    def within(self, ledger: Ledger, budget: Budget | None = None) -> "ChatClient":
        """The same client, keeping its calls in `ledger`, its cost within `budget`."""
        other = copy.copy(self)
        other.ledger, other.budget = ledger, budget or self.budget
        other._check_budget()
        other._forget()
        return other

    def settings(self) -> dict[str, Any]:
        """What of this client decides an answer, as JSON values (no key, no ledger)."""
        return {"model": self.model, "base_url": self.base_url, "temperature": self.temperature}

    @property
    def at_once(self) -> int:
        """How many requests have to wait at once to keep the endpoint busy: of batches, a file's worth."""
        return self.concurrency if self.batch is None else max(self.concurrency, self.batch.most_requests)

    @property
    def thinks(self) -> bool:
        """Whether the model may think before it answers."""
        return may_think(self.model)

    @property
    def endpoint(self) -> str:
        """The endpoint's name in keys: a server on this machine may come back on another port."""
        return f"loopback{urlsplit(self.base_url).path}" if self._local else self.base_url

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
        Raises `ReplyError` (this request got no usable reply), `EndpointError` or `BudgetExceeded` (stop),
        `Stopped` after `stop`.
        """
        if self.budget.limit is not None and max_tokens is None:
            raise UsageError("a budget needs max_tokens: without it nobody knows what a reply may cost")
        request = Request(self.model, tuple(messages), json_schema, self.temperature, max_tokens)
        key = request.key(self.endpoint)
        async with self._turn(key):  # of two equal requests the second finds the first one's answer
            bodies = self.ledger.answers(key)
            sent: Sent | None = None
            while True:
                if bodies:
                    try:
                        reply = read_body(bodies[-1], len(bodies), cached=sent is None)
                    except BodyFault as fault:
                        if sent is not None:
                            self._connection().judge(sent, fault.usage, fault.error_class, None)
                        if fault.final or len(bodies) >= self.policy.answers:
                            raise ReplyError(fault.error_class, f"{self.model}: {fault.detail}") from None
                    else:
                        if sent is not None:
                            self._connection().judge(sent, reply.usage, None, reply.finish_reason)
                        return reply
                if self.offline:
                    raise NotAnswered(
                        f"the ledger holds no answer for {stage or 'this request'} {record}".rstrip()
                    )
                sent = await self._connection().fetch(request, key, stage, record)
                bodies.append(sent.body)

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

    def stop(self) -> None:
        """Send nothing more: requests under way come to their end, later ones raise `Stopped`."""
        for sender in list(self._senders.values()):
            sender.stopping = True

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        sender = self._senders.pop(asyncio.get_running_loop(), None)
        if sender is not None:
            sender.stopping = True
            await sender.transport.close()

    def _connection(self) -> Sender | BatchSender:
        loop = asyncio.get_running_loop()
        if loop not in self._senders:
            for ended in [each for each in list(self._senders) if each.is_closed()]:
                self._senders.pop(ended, None)  # without `aclose`
            self._senders[loop] = self._new_sender()
        return self._senders[loop]

    def _new_sender(self) -> Sender | BatchSender:
        if self.batch is None:
            self._refuse_open_batches()
        online = Sender(
            self._transport,
            self.ledger,
            endpoint=self.base_url,
            model=self.model,
            concurrency=self.concurrency,
            timeout=self.timeout,
            policy=self.policy,
            limits=self.limits,
            budget=self.budget,
            price=self.price,
            exactly_once=self.exactly_once,
            say=_say,
        )
        if self.batch is None:
            return online
        if isinstance(self.ledger, NoLedger):
            raise UsageError("batches need a ledger: a crash would lose them, and they are paid")
        return BatchSender(online, self.ledger, self.batch, _say)

    def _refuse_open_batches(self) -> None:
        if left := len(self.ledger.open_batches(self.model)):
            raise UsageError(
                f"{left} batches of {self.model} that an earlier start sent are still at the endpoint, and without "
                "them their requests would be paid again. Go on with --batch, which collects them."
            )

    def _transport(self) -> Transport:
        return Transport(
            self.base_url,
            self._api_key,
            local=self._local,
            concurrency=self.concurrency,
            timeout=self.timeout,
        )

    def _turn(self, key: bytes) -> asyncio.Lock:
        return self._turns.setdefault((asyncio.get_running_loop(), key), asyncio.Lock())


def _say(line: str) -> None:
    print(f"kcx: {line}", file=sys.stderr, flush=True)


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
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"the API key for {base_url} holds a character that no key has (a line end, perhaps). Set it without."
        )
    return key
