"""An OpenAI-compatible HTTP server that knows the right answers and makes mistakes on purpose.

It speaks Chat Completions on the loopback address, over real sockets, and counts what it served, so that a
client's ledger can be checked against the bill. See `llm_script` for what it says.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kcx_jax.corpora import ParallelRecord
from kcx_jax.errors import KcxError
from kcx_jax.llm import LoopThread
from kcx_jax.testing.llm_script import (
    BODY,
    TRANSPORT,
    Answers,
    Ask,
    FaultPlan,
    Script,
    UnknownRequest,
    random_faults,
)

HOST = "127.0.0.1"
LARGEST_BODY = 16 * 2**20


@dataclass
class Bill:
    """What was served. ``answers``: bodies with status 200, which cost tokens; ``paid_twice``: those of a
    content that had been answered well before."""

    requests: int = 0
    answers: int = 0
    paid_twice: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Response:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class ScriptedServer:
    """``with ScriptedServer(answers) as server: ChatClient("any", server.base_url)``.

    `answers`: sentence -> answer code, or -> {task: code}; `pairs`: what to translate and how. `faults` gives
    each fault's share of all contents (`llm_script.FAULTS`), drawn by `seed`, or is a plan of one's own.
    Faults of transport and body pass after `passes` tries of one content. `structured` false refuses
    `response_format`; an `api_key` is then asked of every request. Times in seconds.

    `start` raises `KcxError` when the port is taken; port 0 takes a free one.
    """

    def __init__(
        self,
        answers: Answers | None = None,
        faults: Mapping[str, float] | FaultPlan | None = None,
        seed: int = 0,
        *,
        pairs: Iterable[ParallelRecord] = (),
        port: int = 0,
        passes: int = 1,
        structured: bool = True,
        api_key: str | None = None,
        latency: float = 0.0,
        hang: float = 60.0,
        retry_after: float = 0.05,
    ):
        self._script = Script(answers or {}, pairs)
        self._plan = faults if callable(faults) else random_faults(faults or {}, seed)
        self._port, self._passes, self._structured, self._api_key = port, passes, structured, api_key
        self._latency, self._hang, self._retry_after = latency, hang, retry_after
        self._tries: Counter[bytes] = Counter()
        self._answered: set[bytes] = set()
        self._loop: LoopThread | None = None
        self.bill = Bill()

    @property
    def base_url(self) -> str:
        """The endpoint, such as ``http://127.0.0.1:40123/v1``."""
        return f"http://{HOST}:{self._port}/v1"

    def start(self) -> "ScriptedServer":
        """Listen, in a thread of its own."""
        loop = LoopThread().__enter__()
        try:
            server = loop.submit(
                asyncio.start_server(self._connected, HOST, self._port, backlog=2048)
            ).result()
        except OSError as error:
            loop.__exit__()
            raise KcxError(
                f"cannot listen on {HOST}:{self._port}: {error.strerror or error}. Choose another port, "
                "or 0 for a free one."
            ) from error
        self._port = server.sockets[0].getsockname()[1]
        self._loop, self._server = loop, server
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None:
            self._loop.submit(self._stop_listening()).result()
            self._loop.__exit__()
            self._loop = None

    def __enter__(self) -> "ScriptedServer":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def _stop_listening(self) -> None:
        self._server.close()  # in its own thread: asyncio's server is not made for two

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                response = await self._respond(*request)
                if response is None:
                    break
                head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
                writer.write(
                    f"HTTP/1.1 {response.status} .\r\ncontent-type: application/json\r\n"
                    f"content-length: {len(response.body)}\r\n{head}\r\n".encode("latin-1")
                    + response.body
                )
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client went away, or speaks something else
        except asyncio.CancelledError:
            pass  # the server stops; nobody waits for this task
        finally:
            writer.transport.abort()

    async def _respond(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> _Response | None:
        """The response, or None to drop the connection."""
        if self._api_key is not None and headers.get("authorization") != f"Bearer {self._api_key}":
            return _error(401, "Incorrect API key provided.", code="invalid_api_key")
        if method == "GET" and path == "/v1/models":
            return _Response(200, b'{"object": "list", "data": []}')
        if method != "POST" or path != "/v1/chat/completions":
            return _error(404, f"no {method} {path} here")
        self.bill.requests += 1
        try:
            request = json.loads(body)
            ask = self._script.read(str(request["model"]), list(request["messages"]))
            if "response_format" in request and not self._structured:
                return _error(400, "response_format is not supported by this model", param="response_format")
            return await self._answer(ask, request)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            return _error(400, f"not a Chat Completions request: {error!r}")
        except UnknownRequest as error:
            return _error(400, str(error))

    async def _answer(self, ask: Ask, request: Mapping[str, Any]) -> _Response | None:
        tries = self._tries[ask.digest]
        self._tries[ask.digest] += 1
        ask = Ask(ask.model, ask.stage, ask.sentence, ask.data, ask.digest, tries)
        fault = self._plan(ask)
        if fault in (*TRANSPORT, *BODY) and tries >= self._passes:
            fault = None
        self.bill.stages[ask.stage] += 1
        if fault:
            self.bill.faults[fault] += 1
        if self._latency:
            await asyncio.sleep(self._latency)
        if fault in TRANSPORT:
            return await self._fail(fault)
        text, finish = self._script.reply(ask, fault)
        return self._billed(ask, request, text, finish, fault)

    async def _fail(self, fault: str) -> _Response | None:
        if fault == "rate_limit":
            wait = {"retry-after-ms": f"{1000 * self._retry_after:.0f}"}
            return _error(429, "Rate limit reached", code="rate_limit_exceeded", headers=wait)
        if fault == "quota":
            return _error(429, "You exceeded your current quota", code="insufficient_quota")
        if fault == "server_error":
            return _error(500, "The server had an error")
        if fault == "hang":
            await asyncio.sleep(self._hang)
        return None

    def _billed(
        self, ask: Ask, request: Mapping[str, Any], text: str, finish: str, fault: str | None
    ) -> _Response:
        """A response with status 200: paid for, whatever is in it."""
        tokens = sum(_tokens(str(message.get("content"))) for message in request["messages"]), _tokens(text)
        self.bill.answers += 1
        self.bill.input_tokens += tokens[0]
        self.bill.output_tokens += tokens[1]
        if fault not in BODY:
            self.bill.paid_twice += ask.digest in self._answered
            self._answered.add(ask.digest)
        name = f"{ask.digest.hex()}-{ask.tries}"
        message = {"role": "assistant", "content": None if fault == "no_content" else text, "refusal": None}
        completion = {
            "id": f"chatcmpl-{name}",
            "object": "chat.completion",
            "created": 0,
            "model": ask.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            "usage": {
                "prompt_tokens": tokens[0],
                "completion_tokens": tokens[1],
                "total_tokens": sum(tokens),
            },
        }
        if fault == "empty_choices":
            completion["choices"] = []
        body = json.dumps(completion, ensure_ascii=False).encode()
        return _Response(
            200, body[: len(body) // 2] if fault == "broken_body" else body, {"x-request-id": f"req_{name}"}
        )


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    """Method, path, headers (lower case) and body; None when the client closed the connection."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)
        }
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= LARGEST_BODY:
            raise ValueError("body too large")
        return method, target.partition("?")[0], headers, await reader.readexactly(length)
    return None


def _error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> _Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return _Response(status, json.dumps({"error": error}).encode(), headers or {})


def _tokens(text: str) -> int:
    """A stand-in for a tokenizer: four bytes a token."""
    return len(text.encode()) // 4 + 1
