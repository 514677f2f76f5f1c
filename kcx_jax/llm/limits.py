"""How fast and how many at once: an endpoint's limits, kept by its client before the endpoint has to.

All times in seconds of the event loop's clock.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from kcx_jax.errors import BudgetExceeded, UsageError


@dataclass(frozen=True)
class Limits:
    """What an account may do; None: no limit. Raises `UsageError` for one below 1."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}: must be at least 1, or left out")


class Bucket:
    """At most `limit` units in any window of `period` seconds.

    A second's worth may be taken at once, and the rest flows in over what remains of the window, so that no
    window, wherever it begins, sees more than the limit. What is taken beyond the content is a debt.
    """

    def __init__(self, limit: int, period: float, clock: Callable[[], float]):
        self._burst = max(1.0, limit / period)
        # The unit that opens a window has flowed in before it.
        self._rate = (limit - self._burst + 1) / period
        self._clock, self._content, self._then = clock, self._burst, clock()

    def _flow(self) -> None:
        now = self._clock()
        self._content = min(self._burst, self._content + max(0.0, now - self._then) * self._rate)
        self._then = now

    def wait(self, units: float) -> float:
        """Seconds until `units` may be taken; more than a burst may once the bucket is full."""
        self._flow()
        return max(0.0, (min(units, self._burst) - self._content) / self._rate)

    def take(self, units: float) -> None:
        """Take them, into debt if need be; a negative number gives back."""
        self._flow()
        self._content = min(self._burst, self._content - units)


class Pace:
    """When the next request may be sent: the account's limits, and the gate that a refusal closes.

    `sent_today`: requests of the last day that an earlier run made.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float], sent_today: int = 0):
        self._clock = clock
        self._requests = self._tokens = self._left_today = None
        if limits.requests_per_minute is not None:
            self._requests = Bucket(limits.requests_per_minute, 60.0, clock)
        if limits.tokens_per_minute is not None:
            self._tokens = Bucket(limits.tokens_per_minute, 60.0, clock)
        if limits.requests_per_day is not None:
            self._left_today = limits.requests_per_day - sent_today
        self._not_before = 0.0
        self._order = asyncio.Lock()

    async def turn(self, tokens: float) -> None:
        """Wait for the turn of a request of about so many tokens, in the order of asking.

        Raises `BudgetExceeded` when the day's requests are spent.
        """
        async with self._order:
            while (wait := self._wait(tokens)) > 0:
                await asyncio.sleep(wait)
            if self._left_today is not None:
                if self._left_today < 1:
                    raise BudgetExceeded(
                        "the requests of a day are spent. Continue tomorrow with the same command, or raise "
                        "the limit of requests a day."
                    )
                self._left_today -= 1
            if self._requests is not None:
                self._requests.take(1)
            if self._tokens is not None:
                self._tokens.take(tokens)

    def _wait(self, tokens: float) -> float:
        waits = [0.0, self._not_before - self._clock()]
        if self._requests is not None:
            waits.append(self._requests.wait(1))
        if self._tokens is not None:
            waits.append(self._tokens.wait(tokens))
        return max(waits)

    def settle(self, reserved: float, used: float) -> None:
        """Replace the estimate of a request by what it used."""
        if self._tokens is not None:
            self._tokens.take(used - reserved)

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: the endpoint asked for it."""
        self._not_before = max(self._not_before, self._clock() + seconds)


class Slots:
    """How many requests are under way at once: at most `most`, fewer after refusals, slowly more again."""

    def __init__(self, most: int):
        self.most, self._allowed, self._busy = most, float(most), 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._begun = 0
        self._cut_at = 0  # requests begun when the number was last cut: one cut a round of refusals

    @property
    def allowed(self) -> int:
        """How many may be under way now."""
        return int(self._allowed)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[int]:
        """Wait for a slot and hold it; gives the number of the request."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._admit()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # admitted in the same moment
                self._leave()
            raise
        self._begun += 1
        try:
            yield self._begun
        finally:
            self._leave()

    def _leave(self) -> None:
        self._busy -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._busy < self.allowed:
            future = self._waiting.popleft()
            if not future.done():
                self._busy += 1
                future.set_result(None)

    def refused(self, number: int) -> None:
        """The endpoint refused request `number` for its rate: half as many at once, once for all of a round."""
        if number > self._cut_at:
            self._allowed = max(1.0, self._allowed / 2)
            self._cut_at = self._begun

    def served(self) -> None:
        """A request was answered: one more at once for each round of answers."""
        self._allowed = min(float(self.most), self._allowed + 1 / self._allowed)
        self._admit()
