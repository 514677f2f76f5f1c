"""`Extractor.aextract`: the event loop goes on, and a caller who leaves does not wait."""

import asyncio
import threading

import pytest

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction import Answer, Extractor

from .conftest import CHINESE, CLASSES, ENGLISH, NOTHING
from .oracle import Oracle


class _Held(Oracle):
    """Answers only when it is let go; notes in which thread it was asked, and when it was closed."""

    def __init__(self):
        super().__init__()
        self.go, self.reached, self.closed, self.threads = *(threading.Event() for _ in range(3)), set()

    def stream(self, asks):
        try:
            for _ in asks:
                self.threads.add(threading.current_thread())
                self.reached.set()
                assert self.go.wait(60)
                yield Answer("[]")
        finally:
            self.closed.set()


def test_results_come_in_order_from_an_endpoint(served):
    extractor, _ = served()
    texts = [ENGLISH, NOTHING, CHINESE] * 4

    async def run():
        return [result async for result in extractor.aextract(iter(texts), CLASSES)]

    found = asyncio.run(run())
    assert [(each.record, each.answers) for each in found] == [
        (each.record, each.answers) for each in extractor.extract(texts, CLASSES)
    ]


def test_several_callers_of_one_extractor_do_not_wait_for_each_other(served):
    extractor, _ = served(latency=0.2)
    texts = [ENGLISH, NOTHING, CHINESE]

    async def one():
        return [result.record async for result in extractor.aextract(texts, CLASSES)]

    async def run():
        return await asyncio.wait_for(asyncio.gather(one(), one(), one()), 60)

    assert asyncio.run(run()) == [[each.record for each in extractor.extract(texts, CLASSES)]] * 3


def test_the_loop_goes_on_while_the_model_works():
    source = _Held()

    async def run():
        results = aiter(Extractor(source).aextract(["a", "b"], ["person"]))
        first = asyncio.ensure_future(anext(results))
        while not source.reached.is_set():
            await asyncio.sleep(0)
        assert not first.done()
        source.go.set()
        assert (await first).text == "a"
        assert (await anext(results)).text == "b"
        with pytest.raises(StopAsyncIteration):
            await anext(results)

    asyncio.run(run())
    assert len(source.threads) == 1
    assert threading.main_thread() not in source.threads


def test_a_caller_who_is_cancelled_does_not_wait_and_nothing_more_is_asked():
    source, taken = _Held(), []

    def texts():
        for number in range(100):
            taken.append(number)
            yield str(number)

    async def run():
        async def reading():
            async for _ in Extractor(source).aextract(texts(), ["person"]):
                raise AssertionError("no answer came")

        task = asyncio.ensure_future(reading())
        while not source.reached.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not source.closed.is_set(), "the answer under way is still being written"

    asyncio.run(run())
    source.go.set()
    assert source.closed.wait(60)
    assert taken == [0]


def test_what_is_wrong_is_raised_where_it_is_awaited():
    with pytest.raises(UsageError, match="ground is 'soft'"):
        Extractor(Oracle()).aextract(["a"], ["person"], ground="soft")

    async def run():
        return [each.text async for each in Extractor(Oracle()).aextract(["a", "\ud83d"], ["person"])]

    with pytest.raises(KcxError, match="half a surrogate pair"):
        asyncio.run(run())
