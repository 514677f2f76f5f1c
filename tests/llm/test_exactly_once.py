"""A reply that was paid for and lost: looked up where the endpoint keeps it, asked for again where it does not."""

import asyncio
import json
import sqlite3
import time

import pytest

from kcx_jax.llm import ChatClient, EndpointError, Ledger, RetryPolicy
from kcx_jax.llm.request import Dialect
from kcx_jax.llm.retry import BAD_REQUEST, Failure
from kcx_jax.testing.llm_faults import LOST
from kcx_jax.testing.llm_server import ScriptedServer

QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02)
ANSWERS = {"sentence 0": "[]", "sentence 1": "[]"}
ASK = [{"role": "user", "content": "sentence 0"}]


def _complete(client: ChatClient) -> str:
    async def run() -> str:
        try:
            return (await client.complete(ASK)).text
        finally:
            await client.aclose()

    return asyncio.run(run())


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.mark.parametrize("fault", [name for name in LOST if name not in ("gzip_garbage", "wrong_length")])
@pytest.mark.parametrize("exactly_once", [True, False])
def test_an_answer_lost_on_its_way_is_paid_once_where_it_can_be_looked_up(ledger, fault, exactly_once):
    with ScriptedServer(ANSWERS, lambda ask: fault, drip=0.05) as server:
        client = ChatClient(
            "m", server.base_url, ledger=ledger, retry=QUICK, timeout=1.0, exactly_once=exactly_once
        )
        assert _complete(client) == "[]"
        assert server.bill.answers == (1 if exactly_once else 2)
    (states,) = [{row["state"]: row["calls"] for row in ledger.summary()}]
    assert states == ({"answered": 1} if exactly_once else {"answered": 1, "interrupted": 1})


def test_a_call_that_a_killed_process_left_is_looked_up_before_it_is_sent_again(ledger):
    with ScriptedServer(ANSWERS) as server:
        client = ChatClient("m", server.base_url, ledger=ledger, timeout=0.5, exactly_once=True)
        _complete(client)
        _forget_the_answer(ledger)
        assert _complete(client) == "[]"
        assert server.bill.answers == 1
        _forget_the_answer(ledger)
        with sqlite3.connect(ledger.path) as db:  # another call of another run: nothing of it is stored
            db.execute("UPDATE note SET value = 'another' WHERE name LIKE 'name of this ledger%'")
        assert _complete(client) == "[]"
        assert server.bill.answers == 2
    assert {row["error_class"] for row in ledger.summary()} == {"", "not_served"}


def _forget_the_answer(ledger: Ledger) -> None:
    """As if the process had died between sending and receiving."""
    ledger.store.write("UPDATE call SET state = 'interrupted', reply = NULL, sent = ?", time.time())
    ledger.store.flush()


def test_an_endpoint_that_cannot_say_is_not_taken_for_one_that_served_nothing(ledger, monkeypatch):
    with ScriptedServer(ANSWERS) as server:
        client = ChatClient("m", server.base_url, ledger=ledger, timeout=0.5, exactly_once=True)
        _complete(client)
        _forget_the_answer(ledger)
        server.key_expires_after = 0
    with ScriptedServer(ANSWERS, api_key="other") as server:
        client = ChatClient("m", server.base_url, "wrong", ledger=ledger, timeout=0.5, exactly_once=True)
        with pytest.raises(EndpointError, match="does not say whether it served"):
            _complete(client)
        assert server.bill.answers == 0


def test_an_endpoint_that_refuses_to_store_is_used_without_and_it_is_said_once_a_start(ledger, capfd):
    """A call that is cut off is then sent again: nobody can look it up, and its cost stays unknown."""

    def plan(ask):
        return "reset_billed" if ask.sentence == "sentence 0" else None

    with ScriptedServer(ANSWERS, plan, stored=False) as server:
        for _ in range(2):
            client = ChatClient("m", server.base_url, ledger=ledger, retry=QUICK, exactly_once=True)
            asks = [[{"role": "user", "content": sentence}] for sentence in ANSWERS]
            assert [reply.text for reply in client.complete_many(asks)] == ["[]", "[]"]
            ledger.store.write("UPDATE call SET state = 'failed' WHERE record = '' AND state = 'answered'")
            ledger.store.flush()
            told = capfd.readouterr().err
            assert told.count("\n") == 1
            assert "refuses to store completions of m: exactly-once does without" in told
            assert "may be paid twice" in told
    states = {(row["state"], row["error_class"]) for row in ledger.summary()}
    assert ("interrupted", "connection") in states
    assert "not_served" not in {error for _, error in states}


@pytest.mark.parametrize(
    ("param", "message", "store"),
    [
        ("store", "no", False),
        ("metadata", "no", False),
        (None, "Unrecognized request argument supplied: store", False),
        (None, "extra fields not permitted: metadata", False),
        (None, "the storey is unknown", True),
        ("messages", "'the store is closed' is too long", True),
    ],
)
def test_a_refusal_of_the_store_is_told_from_others(param, message, store):
    refused = Failure(BAD_REQUEST, message, 400, param=param)
    assert Dialect().without({"store": True}, refused).store is store
    assert Dialect().without({}, refused).store


def test_without_it_nothing_asks_the_endpoint_to_keep_anything(ledger):
    with ScriptedServer(ANSWERS, stored=False) as server:
        assert _complete(ChatClient("m", server.base_url, ledger=ledger)) == "[]"
    assert not {"store", "metadata"} & json.loads(ledger.request(1)).keys()
