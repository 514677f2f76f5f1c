"""A blocking iterator for a program with an event loop."""

import asyncio
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_END: Any = object()


async def drawn_in_thread(items: Generator[T, None, None]) -> AsyncIterator[T]:
    """What `items` gives, drawn in a thread of its own, one after the other, as they are asked for.

    When the caller stops or is cancelled it need not wait: the item under way comes to its end in that thread, where
    `items` is closed then.
    """
    thread = ThreadPoolExecutor(1, "kcx-extract")
    loop = asyncio.get_running_loop()
    try:
        while (item := await loop.run_in_executor(thread, next, items, _END)) is not _END:
            yield item
    finally:
        thread.submit(items.close)
        thread.shutdown(wait=False)
