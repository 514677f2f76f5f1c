"""Workers that take items to their end, and how they stop: nothing that was paid for is dropped on the way."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from kcx_jax.errors import KcxError
from kcx_jax.llm import ChatClient, LoopThread, Stopped

# Seconds that requests under way get when a run is stopped.
DRAIN = 30.0

T = TypeVar("T")


def work_through(
    items: Iterable[T], task: Callable[[T], Awaitable[None]], clients: Sequence[ChatClient]
) -> None:
    """Do `task` with every item, in a thread of its own, with as many at once as the first client says; blocks.

    What `task` raises (`KcxError`) stops the clients: no more is sent, requests under way come to their end, and
    then it is raised. So it is with a Ctrl-C and a SIGTERM, which raise `KeyboardInterrupt`; a second one does not
    wait.
    """
    queue = iter(items)  # shared by all workers: each takes the next item
    stopped: list[KcxError] = []

    def stop() -> None:
        for client in clients:
            client.stop()

    async def worker() -> None:
        for item in queue:
            try:
                await task(item)
            except Stopped:
                return
            except KcxError as error:  # of no use to go on; what is under way comes to its end all the same
                stopped.append(error)
                stop()
                return

    async def work() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(clients[0].at_once):
                    group.create_task(worker())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first one ended the others
        finally:
            for client in clients:
                await client.aclose()

    with LoopThread() as loop, _terminated_as_interrupted():
        working = loop.submit(work())
        try:
            working.result()
        except KeyboardInterrupt:
            loop.call(stop)
            _drain(working)
            raise
    if stopped:
        raise stopped[0]


def _drain(work: "Future[None]") -> None:
    try:
        work.result(timeout=DRAIN)
    except (KeyboardInterrupt, TimeoutError):
        work.cancel()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """A SIGTERM in the main thread is a Ctrl-C while the block runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
