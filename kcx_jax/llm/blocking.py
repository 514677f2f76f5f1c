"""An event loop in a thread of its own, for blocking callers (a notebook too, whose thread has a loop)."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """``with LoopThread() as loop: loop.submit(coroutine).result()``; leaving cancels what still runs."""

    def __enter__(self) -> "LoopThread":
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kcx-llm", daemon=True)
        self._thread.start()
        return self

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start `coroutine`; its result comes through the future. Cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the loop's thread, soon."""
        self._loop.call_soon_threadsafe(function)

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, which serves more requests a second."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
