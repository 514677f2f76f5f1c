"""Faults of transport and body on the wire, read with raw sockets; and that they pass."""

import contextlib
import email.utils
import http.client
import json
import socket
import time

import openai
import pytest

from kcx_jax.prompts.extraction import sentence_context
from kcx_jax.testing.llm_faults import BODY, LOST, TRANSPORT, UNBILLED
from kcx_jax.testing.llm_server import ScriptedServer

SENTENCE = "Ada went to London."
ANSWER = '[Person("Ada")]'
BODY_SENT = {"model": "m", "messages": [{"role": "user", "content": sentence_context(SENTENCE)}]}
NOW = 1_000_000_000.0


def _server(fault: str | None, **options) -> ScriptedServer:
    faults = {fault: 1.0} if fault else None
    options = {"hang": 0.1, "drip": 0.0002, "clock": lambda: NOW} | options
    return ScriptedServer({SENTENCE: ANSWER}, faults, **options)


def _connected(server: ScriptedServer) -> socket.socket:
    port = int(server.base_url.split(":")[2].split("/")[0])
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _raw(server: ScriptedServer) -> bytes:
    """All bytes of the response, up to a short silence or the end; b"RST" where it was reset."""
    body = json.dumps(BODY_SENT).encode()
    with _connected(server) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        got = b""
        try:
            while part := connection.recv(1 << 20):
                got += part
                connection.settimeout(0.2)
        except ConnectionResetError:
            return b"RST"
        except TimeoutError:
            pass
        return got


def _ask(server: ScriptedServer):
    """Status, headers and body."""
    port = int(server.base_url.split(":")[2].split("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY_SENT))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("fault", sorted(set(TRANSPORT | BODY) - {"drip"}))
def test_every_fault_shows_on_the_wire_and_passes(fault):
    with _server(None) as server:
        right = _raw(server)
    with _server(fault) as server:
        assert _raw(server) != right
        again = _raw(server)
        assert json.loads(again.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == ANSWER
        assert server.bill.faults == {fault: 1}
        assert server.bill.answers == (1 if fault in UNBILLED else 2)
        assert server.bill.paid_twice == (fault in LOST)


def test_a_drip_is_late_and_whole():
    with _server(None) as server:
        right = _raw(server)
    with _server("drip", drip=0.002) as server:
        began = time.perf_counter()
        assert _raw(server) == right
        assert time.perf_counter() - began > 0.002 * len(right)


@pytest.mark.parametrize(
    ("fault", "status", "header", "value"),
    [
        ("rate_limit", 429, "retry-after-ms", "50"),
        ("retry_after_seconds", 429, "retry-after", "1"),
        ("retry_after_date", 429, "retry-after", email.utils.formatdate(NOW + 1, usegmt=True)),
        ("retry_after_absurd", 429, "retry-after", "1000000000"),
        ("retry_after_negative", 429, "retry-after", "-1"),
        ("retry_after_missing", 429, "retry-after", None),
        ("quota", 429, "retry-after", None),
        ("server_error", 500, "content-type", "application/json"),
        ("bad_gateway", 502, "content-type", "text/html"),
        ("unavailable", 503, "content-type", "application/json"),
        ("overloaded", 529, "content-type", "application/json"),
        ("html", 200, "content-type", "text/html"),
        ("error_body", 200, "content-type", "application/json"),
        ("gzip_garbage", 200, "content-encoding", "gzip"),
    ],
)
def test_statuses_and_headers(fault, status, header, value):
    with _server(fault) as server:
        got = _ask(server)
    assert (got[0], got[1][header]) == (status, value)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("no_content", lambda c: c["choices"][0]["message"]["content"] is None),
        ("empty_choices", lambda c: c["choices"] == []),
        ("null_choices", lambda c: c["choices"] is None),
        ("missing_choices", lambda c: "choices" not in c),
        ("missing_usage", lambda c: "usage" not in c),
        (
            "absurd_usage",
            lambda c: c["usage"]["prompt_tokens"] < 0 and c["usage"]["completion_tokens"] == 10**18,
        ),
        ("wrong_model", lambda c: c["model"] != "m"),
        ("huge_body", lambda c: len(c["choices"][0]["message"]["content"]) == 10_000_000),
        ("content_filter", lambda c: c["choices"][0]["finish_reason"] == "content_filter"),
        (
            "refusal",
            lambda c: c["choices"][0]["message"]["refusal"] and not c["choices"][0]["message"]["content"],
        ),
        ("lone_surrogate", lambda c: c["choices"][0]["message"]["content"] == ANSWER + "\ud800"),
        ("nul", lambda c: c["choices"][0]["message"]["content"] == ANSWER + "\0"),
        ("bom", lambda c: c["choices"][0]["message"]["content"] == ANSWER),
    ],
)
def test_bodies(fault, check):
    with _server(fault) as server:
        body = _ask(server)[2]
    assert check(json.loads(body))
    assert body.startswith(b"\xef\xbb\xbf") == (fault == "bom")


def test_keys_twice():
    with _server("duplicate_keys") as server:
        body = _ask(server)[2]
    pairs = json.loads(body, object_pairs_hook=list)
    assert next(value for key, value in pairs if key == "choices") == []
    assert [key for key, _ in pairs].count("choices") == 2


@pytest.mark.parametrize("fault", ["reset", "reset_billed"])
def test_a_reset_is_no_plain_end(fault):
    with _server(fault) as server:
        assert _raw(server) == b"RST"
    with _server("drop") as server:
        assert _raw(server) == b""


def test_a_key_can_expire_in_mid_run():
    with _server(None, key_expires_after=2) as server:
        assert [_ask(server)[0] for _ in range(4)] == [200, 200, 401, 401]
        server.key_expires_after = None
        assert _ask(server)[0] == 200


def test_a_server_that_restarts_refuses_connections_in_between_and_keeps_its_bill():
    with _server(None) as server:
        url = server.base_url
        idle = _connected(server)
        assert _ask(server)[0] == 200
        server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            _connected(server)
        server.start()
        assert (server.base_url, _ask(server)[0]) == (url, 200)
        assert (server.bill.answers, server.bill.paid_twice) == (2, 1)


def test_what_a_client_no_longer_waits_for_is_billed_all_the_same():
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with (
        _server(None, latency=0.3) as server,
        openai.OpenAI(
            base_url=server.base_url, api_key="k", max_retries=0, http_client=http_client
        ) as client,
    ):
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.1).chat.completions.create(**BODY_SENT)
        ends = time.monotonic() + 20
        while not server.bill.answers and time.monotonic() < ends:
            time.sleep(0.02)
        assert server.bill.answers == 1


def test_requests_sent_at_once_are_answered_in_order():
    with _server(None) as server, _connected(server) as connection:
        one = b"GET /v1/models HTTP/1.1\r\n\r\n"
        connection.sendall(one + b"GET /v1/nothing HTTP/1.1\r\n\r\n" + one)
        got = b""
        while got.count(b"HTTP/1.1 ") < 3:
            got += connection.recv(1 << 16)
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


def test_the_bill_can_be_asked_for():
    with _server("server_error") as server:
        _ask(server)
        with contextlib.closing(
            http.client.HTTPConnection(server.base_url.split("/")[2], timeout=20)
        ) as asked:
            asked.request("GET", "/bill")
            bill = json.loads(asked.getresponse().read())
    assert bill == vars(server.bill)
    assert bill["faults"] == {"server_error": 1}
