"""The client against a real server: what goes wrong, what is sent again, what is kept and what is paid."""

import asyncio
import contextlib
import json
import socket
import threading
import time

import pytest

from kcx_jax.errors import BudgetExceeded, UsageError
from kcx_jax.llm import ChatClient, EndpointError, Ledger, NotAnswered, Reply, ReplyError, RetryPolicy
from kcx_jax.testing.llm_faults import BODY, TRANSPORT
from kcx_jax.testing.llm_server import ScriptedServer

QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02)
ANSWERS = {f"sentence {i}": f'[Person("{i}")]' for i in range(20)}
SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def _ask(i: int = 0) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"sentence {i}"}]


def _complete(client: ChatClient, messages=None, **options) -> Reply:
    async def run() -> Reply:
        try:
            return await client.complete(messages or _ask(), **options)
        finally:
            await client.aclose()

    return asyncio.run(run())


def _always(fault: str):
    return lambda ask: fault


def _calls(ledger: Ledger) -> list[tuple[str, str, int]]:
    rows = [(row["state"], row["error_class"], row["calls"]) for row in ledger.summary()]
    return sorted(rows)


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("rate_limit", ("failed", "rate_limited", 2)),
        ("server_error", ("failed", "server", 2)),
        ("drop", ("interrupted", "connection", 2)),
        ("broken_body", ("answered", "bad_body", 2)),
        ("empty_choices", ("answered", "empty_choices", 2)),
        ("no_content", ("answered", "no_content", 2)),
    ],
)
def test_a_passing_fault_is_waited_out_and_every_attempt_kept(ledger, fault, left):
    with ScriptedServer(ANSWERS, _always(fault), passes=2) as server:
        reply = _complete(ChatClient("m", server.base_url, ledger=ledger, retry=QUICK))
        assert reply.text == '[Person("0")]'
        assert server.bill.requests == 3
    assert _calls(ledger) == sorted([("answered", "", 1), left])


# What a fault that passes leaves in the ledger: state and error class; None: the reply is good all the same.
LEAVES = {
    "rate_limit": ("failed", "rate_limited"),
    "retry_after_seconds": ("failed", "rate_limited"),
    "retry_after_date": ("failed", "rate_limited"),
    "retry_after_negative": ("failed", "rate_limited"),
    "retry_after_missing": ("failed", "rate_limited"),
    "server_error": ("failed", "server"),
    "bad_gateway": ("failed", "server"),
    "unavailable": ("failed", "server"),
    "overloaded": ("failed", "server"),
    "html": ("failed", "server"),
    "error_body": ("failed", "server"),
    "hang": ("interrupted", "timeout"),
    "drop": ("interrupted", "connection"),
    "reset": ("interrupted", "connection"),
    "reset_billed": ("interrupted", "connection"),
    "gateway_timeout": ("interrupted", "server"),
    "partial_body": ("interrupted", "connection"),
    "wrong_length": ("answered", "bad_body"),
    "gzip_garbage": ("interrupted", "connection"),
    "drip": ("interrupted", "timeout"),
    "broken_body": ("answered", "bad_body"),
    "empty_choices": ("answered", "empty_choices"),
    "null_choices": ("answered", "empty_choices"),
    "missing_choices": ("answered", "empty_choices"),
    "no_content": ("answered", "no_content"),
    "content_filter": "content_filter",
    "refusal": "refusal",
    "retry_after_absurd": BudgetExceeded,
    "quota": BudgetExceeded,
    **dict.fromkeys(
        (
            "missing_usage",
            "absurd_usage",
            "wrong_model",
            "huge_body",
            "duplicate_keys",
            "lone_surrogate",
            "nul",
            "bom",
        )
    ),
}


def test_every_fault_of_the_scripted_server_has_its_end_here():
    assert LEAVES.keys() == {*TRANSPORT, *BODY}


@pytest.mark.parametrize("fault", LEAVES)
def test_every_fault_ends_as_it_should(ledger, fault):
    left = LEAVES[fault]
    with ScriptedServer(ANSWERS, _always(fault), retry_after=0.01, drip=0.05) as server:
        client = ChatClient(
            "m",
            server.base_url,
            ledger=ledger,
            retry=QUICK,
            timeout=1.0 if fault in ("hang", "drip") else 30.0,
        )
        if left is BudgetExceeded:
            with pytest.raises(BudgetExceeded):
                _complete(client)
            return
        if isinstance(left, str):
            with pytest.raises(ReplyError) as caught:
                _complete(client)
            assert caught.value.error_class == left
            assert server.bill.answers == 1  # asked again it would say the same
            return
        assert _complete(client).text.startswith('[Person("0")]') or fault == "huge_body"
        states = {(row["state"], row["error_class"]) for row in ledger.summary()}
        if fault == "wrong_length":  # what follows it on the connection may come before the body is taken
            left = next(iter(states - {("answered", ""), ("interrupted", "connection")}), None)
            states -= {("interrupted", "connection")} - {left}
            assert left in (None, LEAVES[fault])
        assert states == {("answered", "")} | ({left} if left else set())
        unknown = sum(row["calls"] for row in ledger.summary() if row["state"] == "interrupted")
        answered = sum(row["calls"] for row in ledger.summary() if row["state"] == "answered")
        assert answered <= server.bill.answers <= answered + unknown


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"error": {"message": "slowly", "code": 429}}, ("failed", "rate_limited")),
        ({"error": {"message": "no such model", "code": 404}}, ("failed", "refused")),
        ({"error": "overloaded"}, ("failed", "server")),
        ({"error": {"code": True}}, ("failed", "server")),
        ({"error": {"code": 10**30}}, ("failed", "server")),
        ({"error": {"code": "insufficient_quota"}}, ("failed", "quota")),
        ({"error": {"message": "cut off"}, "usage": {"prompt_tokens": 7}}, ("answered", "error_body")),
        ({"error": {"message": "cut off"}, "choices": []}, ("answered", "error_body")),
        ({"error": None}, ("answered", "empty_choices")),
    ],
)
def test_an_error_under_a_status_of_success_is_what_its_code_says(ledger, body, left):
    def answer(listener: socket.socket) -> None:
        text = json.dumps(body).encode()
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        quick = RetryPolicy(sends=2, answers=2, first_wait=0.01, longest_wait=0.02, patience=0.05)
        with pytest.raises((ReplyError, EndpointError, BudgetExceeded)):
            _complete(ChatClient("m", url, ledger=ledger, retry=quick))
        listener.shutdown(socket.SHUT_RDWR)
    assert {(row["state"], row["error_class"]) for row in ledger.summary()} == {left}


def test_a_hanging_server_is_left_at_the_deadline(ledger):
    with ScriptedServer(ANSWERS, _always("hang")) as server:
        client = ChatClient("m", server.base_url, ledger=ledger, retry=QUICK, timeout=2.0)
        assert _complete(client).text == '[Person("0")]'
    assert ("interrupted", "timeout", 1) in _calls(ledger)


def test_a_dripping_server_cannot_outlast_the_deadline():
    """Each read gets a byte at once, so that no time-out per read would ever strike."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while True:
                connection.sendall(b" ")
                time.sleep(0.05)

    try:
        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        client = ChatClient("m", url, timeout=1.5, retry=RetryPolicy(sends=1))
        with pytest.raises(ReplyError) as caught:
            _complete(client)
        assert caught.value.error_class == "timeout"
    finally:
        listener.close()


def test_a_paid_broken_body_is_kept_as_it_came(ledger):
    with ScriptedServer(ANSWERS, _always("broken_body")) as server:
        _complete(ChatClient("m", server.base_url, ledger=ledger))
    (call,) = ledger.store.read("SELECT id FROM call WHERE error_class = 'bad_body'").fetchone()
    body, _ = ledger.outcome(call)
    assert body.startswith(b'{"id": "chatcmpl-')
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        json.loads(body)


def test_bodies_that_stay_bad_end_the_request_and_are_not_paid_again(ledger):
    with ScriptedServer(ANSWERS, _always("empty_choices"), passes=99) as server:
        for _ in range(2):
            with pytest.raises(ReplyError) as caught:
                _complete(ChatClient("m", server.base_url, ledger=ledger, retry=QUICK))
            assert caught.value.error_class == "empty_choices"
        assert server.bill.answers == QUICK.answers


def test_transport_that_stays_bad_ends_the_request_and_is_tried_again_next_time(ledger):
    with ScriptedServer(ANSWERS, _always("server_error"), passes=QUICK.sends) as server:
        client = ChatClient("m", server.base_url, ledger=ledger, retry=QUICK)
        with pytest.raises(ReplyError, match="500") as caught:
            _complete(client)
        assert caught.value.error_class == "server"
        assert _complete(client).text == '[Person("0")]'


def test_many_failures_in_a_row_stop_the_run():
    with ScriptedServer(ANSWERS, _always("server_error"), passes=999) as server:
        client = ChatClient("m", server.base_url, concurrency=1, retry=RetryPolicy(sends=1, breaker=3))
        replies = client.complete_many(_ask(i) for i in range(20))
        assert [next(replies).error_class, next(replies).error_class] == ["server", "server"]
        with pytest.raises(EndpointError, match="3 requests in a row"):
            next(replies)


def test_an_empty_account_stops_with_the_budgets_error(ledger):
    with ScriptedServer(ANSWERS, _always("quota")) as server:
        client = ChatClient("m", server.base_url, ledger=ledger)
        with pytest.raises(BudgetExceeded, match="no quota left"):
            _complete(client)
        assert server.bill.requests == 1  # not hammered
    assert _calls(ledger) == [("failed", "quota", 1)]


def test_an_endless_rate_limit_stops_with_the_budgets_error():
    with ScriptedServer(ANSWERS, _always("rate_limit"), passes=99, retry_after=86_400) as server:
        with pytest.raises(BudgetExceeded, match="86400 s"):
            _complete(ChatClient("m", server.base_url))
        assert server.bill.requests == 1


@pytest.mark.parametrize("fault", ["rate_limit", "retry_after_negative"])
def test_a_rate_limit_that_says_at_once_is_waited_for_and_ends_all_the_same(fault):
    with ScriptedServer(ANSWERS, _always(fault), passes=999, retry_after=0) as server:
        policy = RetryPolicy(first_wait=0.05, longest_wait=0.05, patience=0.2)
        with pytest.raises(BudgetExceeded, match="limits the rate"):
            _complete(ChatClient("m", server.base_url, retry=policy))
        assert server.bill.requests <= 0.2 / 0.005 + 1


def test_a_rate_limit_holds_all_requests_of_the_client():
    arrivals = []

    def plan(ask):
        arrivals.append(time.monotonic())
        return "rate_limit" if ask.sentence == "sentence 0" else None

    with ScriptedServer(ANSWERS, plan, retry_after=0.5) as server:
        client = ChatClient("m", server.base_url, concurrency=1)
        assert all(isinstance(reply, Reply) for reply in client.complete_many([_ask(0), _ask(1), _ask(2)]))
    assert len(arrivals) == 4
    assert arrivals[1] - arrivals[0] >= 0.45


def test_a_wrong_key_an_unknown_path_and_no_server_are_said_at_once():
    with ScriptedServer(ANSWERS, api_key="right") as server:
        with pytest.raises(EndpointError, match="Incorrect API key"):
            _complete(ChatClient("m", server.base_url, "wrong"))
        assert _complete(ChatClient("m", server.base_url, "right")).text
        with pytest.raises(EndpointError, match="404"):
            _complete(ChatClient("m", server.base_url.replace("/v1", "/v9"), "right"))
    with pytest.raises(EndpointError, match=r"cannot reach .*server running"):
        _complete(ChatClient("m", server.base_url, "right", retry=QUICK))


def test_a_key_is_needed_except_on_this_machine(monkeypatch):
    with pytest.raises(UsageError, match="no API key for https://api"):
        ChatClient("m")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert ChatClient("m").base_url == "https://api.openai.com/v1"
    monkeypatch.delenv("OPENAI_API_KEY")
    for host in ("127.0.0.1", "localhost", "[::1]"):
        ChatClient("m", f"http://{host}:8000/v1")


@pytest.mark.parametrize("key", ["sk-1\n", "sk-\u00e9", "sk-\x00", "\u674e"])
def test_a_key_that_no_header_can_carry(key):
    with pytest.raises(UsageError, match="the API key for http://localhost:8000/v1 holds a character"):
        ChatClient("m", "http://localhost:8000/v1", key)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", "http://[bad"]
)
def test_a_url_that_is_none(url):
    with pytest.raises(UsageError, match="no endpoint"):
        ChatClient("m", url, "key")


@pytest.mark.parametrize("key", ["k\nx", "schlüssel", "k\x00"])
def test_a_key_that_no_header_can_hold(key):
    with pytest.raises(UsageError, match="no key has") as caught:
        ChatClient("m", "http://127.0.0.1:1/v1", key)
    assert key not in str(caught.value)


def test_an_endpoint_that_answers_with_pages_stops_the_run_and_spoils_no_request(ledger):
    """A proxy's login page, a wrong URL: once that is mended, the same requests are asked again."""
    with ScriptedServer(ANSWERS, _always("html"), passes=99) as server:
        quick = RetryPolicy(sends=2, first_wait=0.01, breaker=2)
        client = ChatClient("m", server.base_url, ledger=ledger, concurrency=1, retry=quick)

        async def one_after_another():
            try:
                with pytest.raises(ReplyError) as first:
                    await client.complete(_ask(0))
                assert first.value.error_class == "server"
                await client.complete(_ask(1))
            finally:
                await client.aclose()

        with pytest.raises(EndpointError, match=r"'<!doctype html>.*OpenAI-compatible endpoint"):
            asyncio.run(one_after_another())
    with ScriptedServer(ANSWERS) as server:
        assert _complete(ChatClient("m", server.base_url, ledger=ledger)).text == '[Person("0")]'
        assert server.bill.requests == 1


def test_a_password_in_the_url_is_refused():
    with pytest.raises(UsageError, match="password") as caught:
        ChatClient("m", "http://me:hush@host/v1", "key")
    assert "hush" not in str(caught.value)


def test_no_key_reaches_the_ledger(ledger):
    with ScriptedServer(ANSWERS, api_key="sk-hush") as server:
        _complete(ChatClient("m", server.base_url, "sk-hush", ledger=ledger))
    assert b"sk-hush" not in ledger.request(1).encode() + ledger.outcome(1)[0]
    ledger.close()
    assert not any(b"sk-hush" in path.read_bytes() for path in ledger.path.parent.iterdir())


def test_the_same_request_is_sent_once_and_a_changed_one_anew(ledger):
    with ScriptedServer(ANSWERS) as server:
        first = _complete(ChatClient("m", server.base_url, ledger=ledger))
        again = _complete(ChatClient("m", server.base_url, ledger=ledger))
        assert (first.cached, again.cached, first.text) == (False, True, again.text)
        assert server.bill.requests == 1
        _complete(ChatClient("other", server.base_url, ledger=ledger))
        _complete(ChatClient("m", server.base_url, ledger=ledger, temperature=0.7))
        _complete(ChatClient("m", server.base_url, ledger=ledger), _ask(1))
        _complete(ChatClient("m", server.base_url, ledger=ledger), max_tokens=50)
        _complete(ChatClient("m", server.base_url, ledger=ledger), json_schema=SCHEMA)
        assert server.bill.requests == 6


def test_a_local_server_on_another_port_is_the_same_endpoint(ledger):
    for cached in (False, True):
        with ScriptedServer(ANSWERS) as server:
            assert _complete(ChatClient("m", server.base_url, ledger=ledger)).cached is cached


def test_equal_requests_at_the_same_time_are_sent_once(ledger):
    with ScriptedServer(ANSWERS, latency=0.1) as server:
        client = ChatClient("m", server.base_url, ledger=ledger, concurrency=10)
        assert len(list(client.complete_many([_ask()] * 10))) == 10
        assert server.bill.requests == 1


def test_callers_in_several_threads_do_not_wait_for_each_other():
    found = []

    def ask():
        found.append([reply.text for reply in client.complete_many(map(_ask, range(3)))])

    with ScriptedServer(ANSWERS, latency=0.2) as server:
        client = ChatClient("m", server.base_url)
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == [list(ANSWERS.values())[:3]] * 4
    assert not client._senders, "each caller's connections are closed"


def test_structured_output_is_asked_for_and_left_out_where_it_is_refused(ledger):
    for structured in (True, False):
        with ScriptedServer(ANSWERS, structured=structured) as server:
            client = ChatClient("m" if structured else "old", server.base_url, ledger=ledger)
            _complete(client, json_schema=SCHEMA)
            _complete(client, _ask(1), json_schema=SCHEMA)
            # json_schema refused, json_object refused, then in words: found out once, and remembered
            assert server.bill.requests == (2 if structured else 4)
    rows = list(ledger.store.read("SELECT model, id, error_class FROM call ORDER BY id"))
    shapes = [(model, '"response_format"' in ledger.request(call), error) for model, call, error in rows]
    assert shapes == [
        *(("m", True, None),) * 2,
        *(("old", True, "bad_request"),) * 2,
        *(("old", False, None),) * 2,
    ]
    assert "JSON Schema" in ledger.request(6)


def test_a_refused_request_is_this_requests_error_alone():
    with ScriptedServer(ANSWERS) as server:
        client = ChatClient("m", server.base_url)
        replies = list(client.complete_many([_ask(0), _ask(777), _ask(1)]))
    assert [type(reply) for reply in replies] == [Reply, ReplyError, Reply]
    assert replies[1].error_class == "bad_request"


def test_replies_come_in_order_and_requests_are_read_no_further_than_needed():
    taken = []

    def conversations():
        for i in range(20):
            taken.append(i)
            yield _ask(i)

    def plan(ask):
        return "server_error" if ask.sentence in ("sentence 0", "sentence 7") else None

    with ScriptedServer(ANSWERS, plan) as server:
        client = ChatClient("m", server.base_url, concurrency=2, retry=QUICK)
        replies = client.complete_many(conversations())
        assert next(replies).text == ANSWERS["sentence 0"]
        assert len(taken) <= 5
        assert [reply.text for reply in replies] == list(ANSWERS.values())[1:]


def test_a_stream_left_early_leaves_nothing_running():
    with ScriptedServer(ANSWERS) as server:
        before = threading.active_count()
        replies = ChatClient("m", server.base_url).complete_many(_ask(i) for i in range(20))
        next(replies)
        replies.close()
        assert threading.active_count() == before


def test_the_blocking_face_works_inside_a_running_loop():
    async def notebook():
        return [reply.text for reply in client.complete_many([_ask(0)])]

    with ScriptedServer(ANSWERS) as server:
        client = ChatClient("m", server.base_url)
        assert asyncio.run(notebook()) == ['[Person("0")]']
        assert [reply.text for reply in client.complete_many([_ask(1)])] == ['[Person("1")]']


def test_an_offline_client_has_the_ledger_and_nothing_else(ledger):
    with ScriptedServer(ANSWERS) as server:
        _complete(ChatClient("m", server.base_url, ledger=ledger))
    offline = ChatClient("m", server.base_url, ledger=ledger, offline=True)
    assert _complete(offline).text == '[Person("0")]'
    with pytest.raises(NotAnswered):
        _complete(offline, _ask(1))


def test_text_that_is_no_text_is_this_requests_error():
    client = ChatClient("m", "http://127.0.0.1:1/v1")
    with pytest.raises(ReplyError, match="lone surrogate"):
        _complete(client, [{"role": "user", "content": "\ud800"}])
