"""Limits: no window sees more than it may, the pace is used up, slots are never lost."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.errors import BudgetExceeded, UsageError
from kcx_jax.llm.limits import Bucket, Limits, Pace, Slots


class _Clock:
    """Time that passes when a test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@settings(deadline=None)
@given(st.integers(1, 3_000), st.lists(st.floats(0, 40), max_size=60))
def test_no_window_of_a_minute_sees_more_requests_than_the_limit(limit, pauses):
    clock = _Clock()
    bucket, sent = Bucket(limit, 60.0, clock), []
    for pause in [*pauses, 0.0]:
        clock.now += pause
        for _ in range(min(limit, 50)):
            clock.now += bucket.wait(1) * (1 + 1e-9)
            bucket.take(1)
            sent.append(clock.now)
    for i, start in enumerate(sent):
        assert sum(start <= moment < start + 60.0 for moment in sent[i:]) <= limit


@settings(deadline=None)
@given(st.integers(1, 6_000))
def test_a_hungry_client_gets_nearly_all_of_its_limit(limit):
    clock = _Clock()
    bucket, begun, count = Bucket(limit, 60.0, clock), clock.now, 0
    while clock.now < begun + 600.0:
        clock.now += bucket.wait(1)
        bucket.take(1)
        count += 1
    assert count >= 0.95 * 10 * limit - 1


def test_a_debt_is_paid_before_the_next_is_let_through_and_what_was_not_used_comes_back():
    clock = _Clock()
    bucket = Bucket(600, 60.0, clock)  # ten a second
    bucket.take(100)
    assert bucket.wait(10) == pytest.approx((90 + 10) / 9.85, rel=0.01)
    bucket.take(-90)
    assert bucket.wait(1) == pytest.approx(1 / 9.85, rel=0.01)
    clock.now -= 3600  # a clock that jumps back brings nothing and costs nothing
    assert bucket.wait(1) == pytest.approx(1 / 9.85, rel=0.01)


@pytest.mark.parametrize("name", ["requests_per_minute", "requests_per_day", "tokens_per_minute"])
def test_a_limit_below_one_is_refused(name):
    with pytest.raises(UsageError, match=name):
        Limits(**{name: 0})


def test_the_requests_of_a_day_end_with_the_budgets_error_and_earlier_ones_count():
    async def run() -> None:
        pace = Pace(Limits(requests_per_day=10), asyncio.get_running_loop().time, sent_today=7)
        for _ in range(3):
            await pace.turn(1)
        with pytest.raises(BudgetExceeded, match="requests of a day"):
            await pace.turn(1)

    asyncio.run(run())


@settings(deadline=None)
@given(
    st.integers(1, 5), st.lists(st.sampled_from(["begin", "end", "cancel", "refuse", "serve"]), max_size=80)
)
def test_slots_are_never_more_than_allowed_and_none_is_lost(most, steps):
    async def run() -> None:
        slots, tasks, ends = Slots(most), [], []
        busy = most_seen = 0

        async def request(end: asyncio.Event) -> None:
            nonlocal busy, most_seen
            async with slots.one():
                busy += 1
                most_seen = max(most_seen, busy)
                try:
                    await end.wait()
                finally:
                    busy -= 1

        for step in steps:
            if step == "begin":
                ends.append(asyncio.Event())
                tasks.append(asyncio.create_task(request(ends[-1])))
            elif step == "end" and ends:
                ends.pop(0).set()
            elif step == "cancel" and tasks:
                tasks[len(ends) % len(tasks)].cancel()
            elif step == "refuse":
                slots.refused(10**9)
            elif step == "serve":
                slots.served()
            if len(tasks) % 2:
                await asyncio.sleep(0)
        for end in ends:
            end.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most_seen <= most
        assert busy == 0
        async with asyncio.timeout(1), slots.one():  # the last one is free again
            pass

    asyncio.run(run())


def test_a_round_of_refusals_halves_once_and_answers_bring_it_back():
    async def run() -> list[int]:
        slots, numbers = Slots(64), []
        for _ in range(64):
            async with slots.one() as number:
                numbers.append(number)
        allowed = []
        for number in numbers:
            slots.refused(number)
        allowed.append(slots.allowed)
        async with slots.one() as number:
            slots.refused(number)
        allowed.append(slots.allowed)
        for _ in range(2_000):
            slots.served()
        return [*allowed, slots.allowed]

    assert asyncio.run(run()) == [32, 16, 64]
