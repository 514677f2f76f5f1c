"""What a run costs while it runs, and a cap on it: the most a request can cost is set aside before it is sent."""

import asyncio

from kcx_jax.errors import BudgetExceeded
from kcx_jax.llm.ledger import Spent
from kcx_jax.llm.money import dollars


class Budget:
    """The bill so far, in nano-dollars, and at most `limit` (None: no cap) of it.

    `spent` is what earlier starts of the run spent. Shared by all clients of a run, in one event loop. A cost
    that stays unknown counts at what was set aside for it: ``possible``. ``unpriced`` counts the answers whose
    cost is not known.
    """

    def __init__(self, limit: int | None = None, spent: Spent | None = None):
        self.limit = limit
        spent = spent or Spent()
        self.known, self.possible, self.unpriced = spent.known, spent.possible, spent.unpriced
        self._held = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def reserve(self, nano: int) -> None:
        """Set `nano` aside; where requests under way hold too much, wait for their true cost.

        Raises `BudgetExceeded` when there is not so much left: nothing was sent.
        """
        while self.limit is not None and self.known + self.possible + self._held + nano > self.limit:
            if self._held == 0:
                raise BudgetExceeded(
                    f"the budget of {dollars(self.limit)} is spent: {dollars(self.known + self.possible)} are "
                    f"gone, and the next request may cost {dollars(nano)}. The same command with a larger "
                    "budget goes on from here."
                )
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        self._held += nano

    def take_back(self, reserved: int) -> int:
        """Hold again what was set aside for a call of unknown cost, whose end is known now; returns how much."""
        # A budget that was not told of earlier starts holds nothing for it.
        reserved = min(reserved, self.possible)
        self.possible -= reserved
        self.unpriced = max(0, self.unpriced - 1)
        self._held += reserved
        return reserved

    def settle(self, reserved: int, cost: int | None) -> None:
        """Put the true cost in the place of what was set aside; None: not known."""
        self._held -= reserved
        if cost is None:
            self.possible += reserved
            self.unpriced += 1
        else:
            self.known += cost
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
