"""A cap on money: the most a request can cost is set aside before it is sent, and settled afterwards."""

import asyncio

from kcx_jax.errors import BudgetExceeded
from kcx_jax.llm.ledger import Spent
from kcx_jax.llm.prices import dollars


class Budget:
    """At most `limit` nano-dollars, of which `spent` are gone: what is known, and what may have been billed.

    Shared by all clients of a run, in one event loop. A cost that stays unknown counts at what was set aside.
    """

    def __init__(self, limit: int, spent: Spent | None = None):
        self.limit = limit
        self._gone = spent.known + spent.possible if spent else 0
        self._held = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def reserve(self, nano: int) -> None:
        """Set `nano` aside; where requests under way hold too much, wait for their true cost.

        Raises `BudgetExceeded` when there is not so much left: nothing was sent.
        """
        while self._gone + self._held + nano > self.limit:
            if self._held == 0:
                raise BudgetExceeded(
                    f"the budget of {dollars(self.limit)} is spent: {dollars(self._gone)} are gone, and the "
                    f"next request may cost {dollars(nano)}. The same command with a larger budget goes on "
                    "from here."
                )
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        self._held += nano

    def settle(self, reserved: int, cost: int | None) -> None:
        """Put the true cost in the place of what was set aside; None: not known."""
        self._held -= reserved
        self._gone += reserved if cost is None else cost
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
