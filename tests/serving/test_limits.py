"""What a server does when there is too much: of requests, of bytes, of seconds; and when nobody waits any longer."""

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from .stand_in import StandIn

EXTRACT = {"text": "Ada was born in London.", "labels": ["person"]}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Who?"}], "stream": True}


def asking(running, count: int = 1, path="/v1/extract", body=EXTRACT):
    """Futures of that many requests, all taken by the engine."""
    before = len(running.engine.asked)
    pool = ThreadPoolExecutor(count)
    futures = [pool.submit(running.post, path, body) for _ in range(count)]
    running.engine.until(lambda it: len(it.asked) == before + count)
    pool.shutdown(wait=False)
    return futures


def raw(running, body: bytes, headers: bytes = b"") -> socket.socket:
    """A connection that has sent a POST to /v1/chat/completions with these headers and this body."""
    connection = socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    connection.sendall(head + (headers or b"Content-Length: %d\r\n" % len(body)) + b"\r\n" + body)
    return connection


def test_a_full_queue_is_429_and_takes_again_when_there_is_room(serving):
    running = serving(StandIn(held=True), queue=3)
    futures = asking(running, 3)
    full = running.post("/v1/extract", EXTRACT)
    assert full.status_code == 429
    assert full.json()["error"]["code"] == "queue_full"
    assert 1 <= int(full.headers["Retry-After"]) <= 60
    assert running.client.get("/ready").status_code == 200
    running.engine.let_go()
    assert [each.result().status_code for each in futures] == [200] * 3
    assert running.post("/v1/extract", EXTRACT).status_code == 200


@pytest.mark.parametrize("path", ["/v1/extract", "/v1/completions"])
def test_a_request_that_takes_too_long_is_504_and_leaves_the_engine(serving, path):
    running = serving(StandIn(held=True), timeout=2)
    body = EXTRACT if path == "/v1/extract" else {"model": "tiny", "prompt": "a"}
    found = running.post(path, body)
    assert found.status_code == 504
    assert "within 2 seconds" in found.json()["error"]["message"]
    assert running.engine.waiting == 0
    running.until_idle()


def test_a_stream_that_takes_too_long_says_so_at_its_end(serving):
    running = serving(StandIn(held=True), timeout=4)
    events = [line for line in running.post("/v1/chat/completions", CHAT).text.splitlines() if line]
    assert json.loads(events[-1][6:])["error"]["code"] == "timeout"
    running.engine.until(lambda it: it.waiting == 0)  # the reader has its last words before


def test_a_body_that_does_not_come_is_408(serving):
    running = serving(timeout=0.3)
    with raw(running, b'{"model"', b"Content-Length: 100\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_whoever_goes_leaves_the_engine(serving):
    running = serving(StandIn(held=True))
    for body in (CHAT, CHAT | {"stream": False}):
        before = len(running.engine.asked)
        connection = raw(running, json.dumps(body).encode())
        running.engine.until(lambda it, before=before: len(it.asked) == before + 1)
        assert running.engine.waiting == 1
        connection.close()
        running.engine.until(lambda it: it.waiting == 0)
    assert all(ticket.future.cancelled() for _, _, ticket in running.engine.asked)


def test_whoever_goes_while_a_long_text_is_read_leaves_the_engine(serving):
    engine = StandIn(held=True)
    running = serving(engine)
    body = json.dumps(EXTRACT | {"text": ["It rained. " * 100] * 100}).encode()
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as connection:
        head = b"POST /v1/extract HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)
        engine.until(lambda it: it.waiting == 16)
    engine.until(lambda it: it.waiting == 0)
    assert len(engine.asked) == 16


def test_a_submission_that_takes_its_time_is_cancelled_when_it_comes_back(serving):
    """A schema that is new takes seconds in the engine's `submit`, and its request may have gone by then."""
    entered, leave = threading.Event(), threading.Event()

    class Slow(StandIn):
        def submit(self, wanted, on_text=None):
            entered.set()
            assert leave.wait(60)
            return super().submit(wanted, on_text)

    engine = Slow(held=True)
    running = serving(engine, timeout=2)
    assert running.post("/v1/extract", EXTRACT).status_code == 504
    assert entered.is_set()
    leave.set()
    engine.until(lambda it: len(it.asked) == 1 and it.waiting == 0)


def test_a_slow_reader_holds_no_slot_and_ends_at_the_limit(serving):
    long = "x" * (8 << 20)
    running = serving(StandIn(lambda wanted: " []" if wanted.constraint else long), timeout=3.0)
    with raw(running, json.dumps(CHAT).encode()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert connection.recv(10).startswith(b"HTTP/1.1 2")
        running.engine.until(lambda it: len(it.asked) == 1 and it.waiting == 0)
        assert running.post("/v1/extract", EXTRACT).status_code == 200
        # It reads no more, and the server lets go of it.
        running.until_idle()


@pytest.mark.parametrize("size", [2001, 100_000])
def test_a_body_that_is_too_large_is_413_whether_it_says_so_or_not(serving, size):
    running = serving(max_body=2000)
    body = json.dumps(EXTRACT | {"text": "a" * size}).encode()
    headers = {"Content-Type": "application/json"}
    told = running.client.post("/v1/extract", content=body, headers=headers)
    untold = running.client.post("/v1/extract", content=iter([body[:100], body[100:]]), headers=headers)
    assert "transfer-encoding" in untold.request.headers
    for found in (told, untold):
        assert found.status_code == 413
        assert "2000 bytes" in found.json()["error"]["message"]
    assert running.post("/v1/extract", EXTRACT).status_code == 200


def test_a_prompt_that_cannot_fit_is_refused_before_it_is_cut_into_tokens(serving):
    running = serving()
    found = running.post("/v1/completions", {"model": "tiny", "prompt": "a" * 3_000_000})
    assert found.status_code == 400
    assert found.json()["error"]["code"] == "context_length_exceeded"


def test_before_the_model_is_there(serving):
    running = serving(ready=False)
    assert running.client.get("/health").status_code == 200
    for found in (running.client.get("/ready"), running.post("/v1/extract", EXTRACT)):
        assert found.status_code == 503
        assert found.headers["Retry-After"] == "5"
        assert found.json()["error"]["code"] == "loading"
    assert running.client.get("/v1/models").status_code == 200


def test_the_end_waits_for_what_is_under_way_and_takes_no_more(serving):
    running = serving(StandIn(held=True))
    futures = asking(running, 2)
    running.end()
    found = running.client.get("/ready")
    while found.status_code == 200:  # the server hears of it within a tenth of a second
        found = running.client.get("/ready")
    assert found.status_code == 503
    late = running.post("/v1/extract", EXTRACT)
    assert late.status_code == 503
    assert late.json()["error"]["code"] == "shutting_down"
    running.engine.let_go()
    assert [each.result().status_code for each in futures] == [200, 200]
    running.join()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{running.url}/health")


def test_the_end_waits_no_longer_than_it_is_told(serving):
    running = serving(StandIn(held=True), drain=0.2)
    futures = [*asking(running), *asking(running, path="/v1/chat/completions", body=CHAT)]
    running.end()
    assert futures[0].result().status_code == 503
    assert futures[0].result().json()["error"]["code"] == "shutting_down"
    assert "shutting_down" in futures[1].result().text.splitlines()[-2]
    running.join()
    assert running.engine.waiting == 0


def test_keys(serving):
    running = serving(api_key="sésame")
    for path in ("/", "/health", "/ready", "/openapi.json", "/docs"):
        assert running.client.get(path).status_code == 200
    for path in ("/v1/models", "/v1/schemas", "/metrics", "/nothing"):
        assert running.client.get(path).status_code == 401
    for wrong in ("", "Bearer", "Bearer other", "Basic sésame", "sésame"):
        found = running.post("/v1/extract", EXTRACT, headers={"Authorization": wrong.encode()})
        assert found.status_code == 401
        assert found.headers["WWW-Authenticate"] == "Bearer"
    assert not running.engine.asked
    right = {"Authorization": "Bearer sésame".encode()}
    assert running.post("/v1/extract", EXTRACT, headers=right).status_code == 200
    assert running.client.get("/v1/models", headers=right).status_code == 200
    assert running.client.get("/openapi.json").json()["paths"]["/v1/extract"]["post"]["security"]


def test_pages_from_elsewhere_may_ask_only_where_they_are_named(serving):
    origin = {"Origin": "https://a.example"}
    plain, named = serving(), serving(cors_origins=("https://a.example",))
    assert "access-control-allow-origin" not in plain.client.get("/health", headers=origin).headers
    found = named.client.get("/health", headers=origin)
    assert found.headers["access-control-allow-origin"] == "https://a.example"
    other = named.client.get("/health", headers={"Origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers


def test_headers_of_every_answer(serving):
    running = serving()
    for found in (
        running.client.get("/"),
        running.client.get("/nothing"),
        running.post("/v1/extract", EXTRACT, headers={"X-Request-Id": "mine.7"}),
        running.post("/v1/chat/completions", CHAT),
    ):
        assert found.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert found.headers["X-Request-Id"]
    assert (
        running.post("/v1/extract", EXTRACT, headers={"X-Request-Id": "mine.7"}).headers["X-Request-Id"]
        == "mine.7"
    )
    for hostile in ("a b", "x" * 65, "<script>", "é"):
        found = running.client.get("/health", headers={"X-Request-Id": hostile.encode()})
        assert hostile not in found.headers["X-Request-Id"]


def test_the_page_opens_no_file_that_a_request_names(serving):
    client = serving().client
    for path in ("/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/../app.py", "/page/app.py", "/page/%00"):
        assert client.get(path).status_code == 404


def test_five_hundred_at_once_that_vanish_leave_nothing(serving):
    engine = StandIn(held=True)
    running = serving(engine, queue=1000)

    async def vanish():
        body = json.dumps(CHAT).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        head += b"Content-Length: %d\r\n\r\n" % len(body)

        async def one():
            _, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
            writer.write(head + body)
            return writer

        writers = await asyncio.gather(*(one() for _ in range(500)))
        await asyncio.to_thread(engine.until, lambda it: len(it.asked) == 500)
        for writer in writers:
            writer.transport.abort()

    asyncio.run(vanish())
    engine.until(lambda it: it.waiting == 0)
    engine.let_go()
    assert running.post("/v1/extract", EXTRACT).status_code == 200
    running.until_idle()
