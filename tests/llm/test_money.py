"""Money: exact sums, a cap that holds whatever happens, and unknown costs that are never zero."""

import asyncio
import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.errors import BudgetExceeded, UsageError
from kcx_jax.llm import Budget, ChatClient, Ledger, Spent, Usage, dollars, load_prices
from kcx_jax.llm.prices import may_think
from kcx_jax.llm.transport import Answer
from kcx_jax.testing.llm_server import ScriptedServer

ROW = "version: 1\nmodels:\n  m: {input: '0.15', cached_input: '0.075', output: '0.60', batch: '0.5'}\n"


@pytest.fixture
def price(tmp_path):
    (tmp_path / "prices.yaml").write_text(ROW)
    return load_prices(tmp_path / "prices.yaml")["m"]


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.booleans())
def test_a_cost_is_the_sum_by_hand_to_the_last_billionth(cached, fresh, output, batch):
    price = load_prices()["gpt-4o-mini"]
    exact = (fresh * Decimal("0.15") + cached * Decimal("0.075") + output * Decimal("0.60")) * 1000
    exact *= Decimal("0.5") if batch else 1
    cost = price.cost(Usage(fresh + cached, output, cached), batch)
    assert abs(cost - exact) <= Decimal("0.5")


def test_an_unknown_usage_has_an_unknown_cost(price):
    assert price.cost(Usage(10, None)) is None
    assert price.cost(Usage(None, 10)) is None
    assert price.cost(Usage(0, 0)) == 0


def test_the_packages_prices(tmp_path):
    prices = load_prices()
    assert prices["gpt-4o-2024-08-06"] == prices["gpt-4o"]
    assert prices["gpt-4o"].shutdown == datetime.date(2027, 1, 14)
    assert prices["no-such-model"] is None
    assert [may_think(name) for name in ("gpt-4o-mini", "gpt-5", "no-such-model")] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "keys version and models"),
        ("version: 1\nmodels: {m: {input: '1'}}", "m: must have input and output"),
        ("version: 1\nmodels: {m: {input: '1', output: '1', colour: 2}}", "m: must have input and output"),
        ("version: 1\nmodels: {m: {input: cheap, output: '1'}}", "m: input is 'cheap'"),
        ("version: 1\nmodels: {m: {input: '-1', output: '1'}}", "m: input is '-1'"),
        ("version: 1\nmodels: {m: {input: .nan, output: '1'}}", "m: input is nan"),
        ("version: 1\nmodels: {m: {input: '1', output: '0.0000000001'}}", "more than nine decimals"),
        ("version: 1\nmodels: {m: {input: '1', output: '1', batch: '2'}}", "batch is the share"),
        ("version: 1\nmodels: {m: {input: '1', output: '1', shutdown: soon}}", "shutdown must be a date"),
        ("{", "not YAML"),
    ],
)
def test_a_price_file_with_a_fault_is_named(tmp_path, text, message):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_prices(path)
    assert "p.yaml" in str(caught.value)
    with pytest.raises(UsageError, match="cannot read the prices"):
        load_prices(tmp_path / "none.yaml")


@given(
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1) | st.none()), max_size=40),
    st.integers(1, 8),
)
def test_the_cap_holds_whatever_the_requests_cost_at_last(limit, requests, at_once):
    """Each request costs at most what was set aside for it, or nobody knows what."""

    async def run() -> None:
        budget, queue, refused = Budget(limit), iter(requests), []

        async def worker() -> None:
            for most, share in queue:
                try:
                    await budget.reserve(most)
                except BudgetExceeded:
                    refused.append(most)
                    assert budget.known + budget.possible + most > limit
                    continue
                await asyncio.sleep(0)
                budget.settle(most, None if share is None else int(most * share))
                assert budget.known + budget.possible <= limit

        async with asyncio.timeout(5):
            await asyncio.gather(*(worker() for _ in range(at_once)))
        if sum(most for most, _ in requests) <= limit:
            assert not refused

    asyncio.run(run())


def test_a_run_within_its_budget_stops_before_the_call_that_might_exceed_it(tmp_path, price):
    answers = {f"sentence {i}": "[]" for i in range(30)}
    conversations = [[{"role": "user", "content": f"sentence {i}"}] for i in range(30)]
    with ScriptedServer(answers) as server:
        served = []
        for limit in (28_000, 33_000, 10**9):
            with Ledger(tmp_path / "ledger.db") as ledger:
                budget = Budget(limit, ledger.spent())
                client = ChatClient(
                    "m", server.base_url, ledger=ledger, price=price, budget=budget, concurrency=4
                )
                replies = client.complete_many(conversations, max_tokens=10)
                if limit < 10**9:
                    with pytest.raises(BudgetExceeded, match="is spent"):
                        list(replies)
                else:
                    assert len(list(replies)) == 30
                ledger.store.flush()
                assert ledger.spent().known <= limit
            served.append(server.bill.answers)
        bill = Usage(server.bill.input_tokens, server.bill.output_tokens)
    assert 0 < served[0] < served[1] < served[2] == 30
    with Ledger(tmp_path / "ledger.db", readonly=True) as ledger:
        # Each of the 30 costs was rounded by itself.
        assert abs(ledger.spent().known - price.cost(bill)) <= 15
        assert ledger.spent().unpriced == 0


def test_a_budget_needs_a_price_and_a_limit_of_length(price):
    with pytest.raises(UsageError, match="needs the price of 'x'"):
        ChatClient("x", "http://127.0.0.1:1/v1", budget=Budget(1))
    client = ChatClient("x", "http://127.0.0.1:1/v1", price=price, budget=Budget(1))
    with pytest.raises(UsageError, match="max_tokens"):
        asyncio.run(client.complete([{"role": "user", "content": "x"}]))


@pytest.mark.parametrize("served", [True, False])
def test_the_cost_of_a_call_that_was_looked_up_takes_the_place_of_the_most_it_might_have_been(
    tmp_path, price, served
):
    """A killed process left a call of which nobody knew the end; the endpoint has its completion, or has none."""
    ask = [{"role": "user", "content": "sentence 0"}]
    with ScriptedServer({"sentence 0": "[]"}) as server:
        options = {"price": price, "exactly_once": True, "timeout": 0.5}
        for start in range(2):
            with Ledger(tmp_path / "ledger.db") as ledger:
                budget = Budget(10**9, ledger.spent())
                assert (budget.possible > 0, budget.unpriced) == (start == 1, start)
                client = ChatClient("m", server.base_url, ledger=ledger, budget=budget, **options)
                (reply,) = client.complete_many([ask], max_tokens=10)
                assert not reply.cached
                ledger.store.flush()
                spent = ledger.spent()
                assert (budget.known, budget.possible, budget.unpriced) == (spent.known, 0, 0)
                assert spent == Spent(spent.known)
                if start == 0:
                    ledger.store.write(
                        "UPDATE call SET state = 'interrupted', reply = NULL, nano_usd = NULL, finish_reason = NULL"
                    )
                    if not served:
                        ledger.store.write(
                            "UPDATE note SET value = 'another' WHERE name LIKE 'name of this%'"
                        )
        assert server.bill.answers == (1 if served else 2)


def test_a_cost_that_nobody_knows_is_counted_and_never_zero(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for _ in range(3):
            ledger.intend(b"k", stage="s", record="r", model="m", request="{}", reserved=70)
        call = ledger.intend(b"k", stage="s", record="r", model="m", request="{}", reserved=70)
        ledger.answer(call, Answer(b"{}", 200, None))
    with Ledger(tmp_path / "ledger.db") as ledger:
        spent = ledger.spent()
    assert spent == Spent(0, 280, 4)
    assert str(spent) == "$0.0000, and 4 calls of unknown cost, at most $0.00000028"


@pytest.mark.parametrize(
    ("nano", "told"), [(0, "$0.0000"), (1, "$0.000000001"), (1_234_567_890_123, "$1234.5679")]
)
def test_dollars(nano, told):
    assert dollars(nano) == told
