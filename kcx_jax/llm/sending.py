"""Sending one request until a body comes back, within what the account and the budget allow.

Each send is a call of the ledger: on disk as an intent before it leaves, and as it ended before anything else.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kcx_jax.errors import BudgetExceeded
from kcx_jax.llm import retry as on
from kcx_jax.llm.budget import Budget
from kcx_jax.llm.crash import crash_point
from kcx_jax.llm.ledger import Cost, Ledger, NoLedger
from kcx_jax.llm.limits import Limits, Pace, Slots
from kcx_jax.llm.prices import Price
from kcx_jax.llm.reply import EndpointError, ReplyError, Stopped, Usage
from kcx_jax.llm.request import Dialect, Request
from kcx_jax.llm.retry import Failure, RetryPolicy
from kcx_jax.llm.stored import find_stored, marks
from kcx_jax.llm.tokens import TokenMeter
from kcx_jax.llm.transport import Answer, Transport


@dataclass(frozen=True)
class Sent:
    """A call that brought a body back, with what was set aside for it."""

    call: int
    body: bytes
    size: int
    tokens: float
    reserved: int
    batch: bool = False


class Sender:
    """One model at one endpoint, in the running event loop."""

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        ledger: Ledger | NoLedger,
        *,
        endpoint: str,
        model: str,
        concurrency: int,
        timeout: float,
        policy: RetryPolicy,
        limits: Limits,
        budget: Budget,
        price: Price | None,
        exactly_once: bool,
        say: Callable[[str], None],
    ):
        self.loop = asyncio.get_running_loop()
        self.transport = open_transport()
        self.stopping = False
        self.endpoint, self.model, self.policy = endpoint, model, policy
        self._ledger, self._timeout, self._exactly_once = ledger, timeout, exactly_once
        self._budget, self._price, self._say = budget, price, say
        self._slots = Slots(concurrency)
        today = ledger.sent_since(time.time() - 86_400, model) if limits.requests_per_day else 0
        self._pace = Pace(limits, self.loop.time, today)
        self._meter = TokenMeter()
        self._note = f"dialect of {endpoint} {model}"
        self._dialect = Dialect.from_json(ledger.noted(self._note))
        self._failures = 0  # requests in a row without an answer
        if exactly_once and not self._dialect.store:
            self._tell_nothing_is_kept()

    async def fetch(self, request: Request, key: bytes, stage: str, record: str) -> Sent:
        """Send until a body comes back, or take one that the endpoint kept from an earlier send."""
        sends, refusals, waited = 0, 0, 0.0
        while True:
            dialect = self._dialect
            keep = self._exactly_once and dialect.store
            if keep and (found := await self._adopt(key)) is not None:
                return found
            body = dialect.body(request)
            sent, result, number = await self._send(body, request, key, stage, record, keep)
            if isinstance(result, Answer):
                crash_point("after_receive")
                self._failures = 0
                self._slots.served()
                self._ledger.answer(sent.call, result)
                await self._ledger.committed()
                crash_point("before_verdict")
                return sent
            self._ledger.fail(sent.call, result)
            self._settle(sent, None if result.interrupted else 0)
            if self._take_hint(dialect, dialect.without({**body, "store": True} if keep else body, result)):
                continue
            if result.error_class == on.RATE_LIMITED:
                self._slots.refused(number)
                refusals += 1
                wait = result.retry_after or self.policy.wait(refusals)  # "at once" would never end
                waited += wait
                self._check_patience(result, waited)
                self._pace.hold(wait)
            else:
                sends += 1
                self._check_failure(result, sends)
                await asyncio.sleep(min(result.retry_after or self.policy.wait(sends), self.policy.patience))

    async def _send(
        self, body: dict[str, Any], request: Request, key: bytes, stage: str, record: str, keep: bool
    ) -> tuple[Sent, Answer | Failure, int]:
        """One send: a turn, money set aside, a durable intent, and the wire. `keep`: the endpoint is told to."""
        text = json.dumps(body, ensure_ascii=False).encode()
        size = len(text)
        tokens = self.expected_tokens(size) + (request.max_tokens or 0) / 4
        async with self._slots.one() as number:
            await self._pace.turn(tokens)
            if self.stopping:
                raise Stopped("stopped before this request was sent")
            reserved = await self.reserve(request, size)
            crash_point("before_intent")
            call = self._ledger.intend(
                key, stage=stage, record=record, model=self.model, request=text, reserved=reserved
            )
            sent = Sent(call, b"", size, tokens, reserved)
            await self._ledger.committed()
            crash_point("after_intent")
            if keep:
                body = {**body, "store": True, "metadata": marks(self._ledger, call)}
                text = json.dumps(body, ensure_ascii=False).encode()
            try:
                result = await self.transport.post(text)
            except asyncio.CancelledError:
                self._ledger.fail(call, Failure(on.CANCELLED, "stopped while waiting for the reply"))
                self._settle(sent, None)
                raise
        if isinstance(result, Answer):
            if (failure := _no_completion(result)) is not None:
                return sent, failure, number
            sent = Sent(call, result.body, size, tokens, reserved)
        return sent, result, number

    async def _adopt(self, key: bytes) -> Sent | None:
        """A body that the endpoint kept of a call whose end nobody knows; None when it served none."""
        await self._ledger.committed()
        for call, moment in self._ledger.ambiguous(key):
            # One that is still being served would be missed: give it the time it may take.
            await asyncio.sleep(min(self._timeout, max(0.0, moment + self._timeout - time.time())))
            found = await find_stored(self.transport, self._ledger, call)
            if isinstance(found, Answer):
                self._ledger.answer(call, found)
                await self._ledger.committed()
                return Sent(call, found.body, 0, 0.0, self.take_back(call))
            if found is None:
                self._ledger.fail(call, Failure("not_served", "the endpoint has no completion of this call"))
                await self._ledger.committed()
                self.settle(self.take_back(call), 0)
            else:
                raise EndpointError(
                    f"{self.endpoint} does not say whether it served a call that was cut off "
                    f"({found.message}). Continue later, or without exactly-once: then it may be paid twice."
                )
        return None

    def judge(self, sent: Sent, usage: Usage, error_class: str | None, finish_reason: str | None) -> None:
        """Note what the body of a call gave, and settle its money and tokens."""
        cost = Cost()
        if self._price is not None:
            cost = Cost(self._price.cost(usage, sent.batch), self._price.id)
        self._ledger.judge(sent.call, usage, cost, error_class=error_class, finish_reason=finish_reason)
        self.settle(sent.reserved, cost.nano_usd)
        if usage.input_tokens is not None and usage.output_tokens is not None:
            self._meter.learn(sent.size, usage.input_tokens)
            self._pace.settle(sent.tokens, usage.input_tokens + usage.output_tokens)

    def body(self, request: Request) -> dict[str, Any]:
        """The body of a request, as the endpoint is known to take it."""
        return self._dialect.body(request)

    def expected_tokens(self, size: int) -> float:
        """About how many tokens `size` bytes of a request are."""
        return self._meter.expected(size)

    async def reserve(self, request: Request, size: int, batch: bool = False) -> int:
        """Set aside the most that a request of `size` bytes can cost; `BudgetExceeded` where that is not left."""
        if self._price is None:
            return 0
        most = Usage(size, request.max_tokens or 0)  # no token is shorter than a byte
        reserved = self._price.cost(most, batch) or 0
        await self._budget.reserve(reserved)
        return reserved

    def take_back(self, call: int) -> int:
        """Set aside again what a call may cost of which nobody knew the end until now; returns how much."""
        return self._budget.take_back(self._ledger.reserved(call))

    def settle(self, reserved: int, cost: int | None) -> None:
        """Put the true cost of a request (None: not known) in the place of what was set aside."""
        self._budget.settle(reserved, cost)

    def _settle(self, sent: Sent, cost: int | None) -> None:
        self.settle(sent.reserved, cost)
        self._pace.settle(sent.tokens, 0.0)

    def _take_hint(self, used: Dialect, better: Dialect) -> bool:
        """Whether to send again in another dialect: the endpoint refused `used`, and `better` mends it."""
        if better == used:
            return False
        if self._dialect == used:
            self._dialect = better
            self._ledger.note(self._note, better.to_json())
            if used.store and not better.store:
                self._tell_nothing_is_kept()
        return True

    def _tell_nothing_is_kept(self) -> None:
        self._say(
            f"{self.endpoint} refuses to store completions of {self.model}: exactly-once does without, so a call that "
            "is cut off is sent again and may be paid twice"
        )

    def _check_patience(self, failure: Failure, waited: float) -> None:
        if waited > self.policy.patience:
            raise BudgetExceeded(
                f"{self.endpoint} limits the rate of {self.model} and asks to wait {waited:.0f} s in all "
                f"({failure.message}). Continue later with the same command, or lower the concurrency."
            )

    def _check_failure(self, failure: Failure, sends: int) -> None:
        """Raise unless the request may be sent again."""
        kind, told = failure.error_class, failure.message
        if kind == on.QUOTA:
            raise BudgetExceeded(
                f"the account behind {self.endpoint} has no quota left ({told}). Top it up, then run the "
                "same command: what was answered is kept."
            )
        if kind == on.REFUSED:
            raise EndpointError(
                f"{self.endpoint} refused model {self.model!r} ({told}). Check the key, model and URL."
            )
        if kind == on.UNREACHABLE and sends >= min(3, self.policy.sends):
            raise EndpointError(
                f"cannot reach {self.endpoint} ({told}). Is the server running, the URL right?"
            )
        if kind == on.BAD_REQUEST or sends >= self.policy.sends:
            self._failures += 1
            if self._failures >= self.policy.breaker:
                raise EndpointError(
                    f"{self.endpoint}: {self._failures} requests in a row got no answer, the last one {kind} "
                    f"({told}). Stopped; the same command continues from here."
                )
            raise ReplyError(kind, f"{self.model}: {told} (sent {sends} times)")


def _no_completion(answer: Answer) -> Failure | None:
    """A failure for a body that no model wrote: a page of a proxy, an error that a gateway states under a status of
    success; None for one that looks like a completion."""
    body = answer.body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if body.startswith(b"{"):
        written = b'"choices"' in body or b'"usage"' in body  # if so it is billed, whatever else it says
        return None if written else _stated_error(answer)
    start = body[:60].decode(errors="replace")
    told = f"HTTP {answer.http_status} with {start!r}: is this an OpenAI-compatible endpoint?"
    return Failure(on.SERVER, told, answer.http_status, answer.request_id, body=answer.body)


def _stated_error(answer: Answer) -> Failure | None:
    """The failure that a body with an `error` means, by the status its code names (500 where it names none)."""
    try:
        error = json.loads(answer.body).get("error")
    except (ValueError, RecursionError):
        return None
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = code if type(code) is int and 400 <= code < 600 else 500
    failure = on.classify_status(status, "", {}, answer.body)
    return replace(failure, http_status=answer.http_status, request_id=answer.request_id)
