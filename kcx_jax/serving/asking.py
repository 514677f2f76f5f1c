"""From the event loop to the engine's thread and back: one answer, several together, or one while it is written."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence

from kcx_jax.decoding import Generated
from kcx_jax.decoding.live import Live, Ticket, Wanted

AT_ONCE = 16  # asks of one request in the engine together: a long text shares the slots with others


async def answer(
    engine: Live,
    wanted: Wanted,
    on_text: Callable[[str], None] | None = None,
    on_taken: Callable[[], None] = lambda: None,
) -> Generated:
    """The answer; `on_taken` is called once the engine has the request. Cancelled, it leaves the engine's queue or
    slot. Raises as `Live.submit` and its tickets.
    """
    tickets: list[Ticket] = []
    left = threading.Event()

    def submit() -> None:
        tickets.append(engine.submit(wanted, on_text))
        if left.is_set():
            tickets[0].cancel()

    try:
        await asyncio.to_thread(submit)  # which takes seconds for a schema that is new
        on_taken()
        return await asyncio.wrap_future(tickets[0].future)
    finally:
        left.set()  # before the list is looked at: whoever comes second cancels
        for ticket in tickets:
            ticket.cancel()


async def answers(
    engine: Live, wanted: Sequence[Wanted], on_first: Callable[[str], None] | None = None
) -> list[Generated]:
    """The answers, in order; `on_first` is told of the first one's text. An error is raised, and the rest cancelled."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, each: Wanted) -> Generated:
        async with room:
            return await answer(engine, each, None if number else on_first)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*each)) for each in enumerate(wanted)]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def pieces(engine: Live, wanted: Wanted) -> AsyncGenerator[str | Generated]:
    """First an empty piece, once the engine has taken the request; the answer's text in pieces as it grows, and last
    the answer. Closed early, it leaves the engine.
    """
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    texts = [""]

    def hear(text: str) -> None:
        texts[0] = text
        news.set()

    def on_text(text: str) -> None:
        loop.call_soon_threadsafe(hear, text)

    asked = asyncio.create_task(answer(engine, wanted, on_text, news.set))
    asked.add_done_callback(lambda _: news.set())
    sent: str | None = None
    try:
        while True:
            await news.wait()
            news.clear()
            done = asked.done()
            text = asked.result().text if done else texts[0]
            if sent is None:
                sent = ""
                yield sent
            if len(text) > len(sent) and text.startswith(sent):
                yield text[len(sent) :]
                sent = text
            if done:
                break
        yield asked.result()
    finally:
        asked.cancel()
