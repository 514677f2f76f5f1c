"""The server itself: its options, its routes, its life."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from kcx_jax.corpora import ParallelRecord
from kcx_jax.errors import KcxError
from kcx_jax.llm import LoopThread
from kcx_jax.testing.llm_faults import UNBILLED
from kcx_jax.testing.llm_script import Answers, FaultPlan, Script, random_faults
from kcx_jax.testing.llm_server.batches import Batches, BatchRules
from kcx_jax.testing.llm_server.bill import Bill
from kcx_jax.testing.llm_server.files import Files
from kcx_jax.testing.llm_server.http import Connection, Refused, Request, Response, found, refusal
from kcx_jax.testing.llm_server.limits import Limits, Window, asked_tokens
from kcx_jax.testing.llm_server.model import Model, encoded, prompt_tokens
from kcx_jax.testing.llm_server.replies import lost, unbilled
from kcx_jax.testing.llm_server.stored import Stored

HOST = "127.0.0.1"
CHAT = "/v1/chat/completions"


class ScriptedServer:
    """``with ScriptedServer(answers) as server: ChatClient("any", server.base_url)``.

    `answers`: sentence -> answer code, or -> {task: code}; `pairs`: what to translate and how. `faults` gives
    each fault's share of all contents (`llm_script.FAULTS`), drawn by `seed`, or is a plan of one's own.
    Faults of transport and body pass after `passes` tries of one content. `structured` false refuses
    `response_format`, `stored` false refuses `store` and `metadata`. An `api_key` is then asked of every
    request, and no longer valid after `key_expires_after` of them (an attribute: None lifts that). Times in
    seconds; `clock` gives Unix time.

    `start` raises `KcxError` when the port is taken; port 0 takes a free one. `stop` and `start` again keep
    the port and the bill: in between, connections are refused.
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
        stored: bool = True,
        api_key: str | None = None,
        key_expires_after: int | None = None,
        limits: Limits | None = None,
        batches: BatchRules | None = None,
        latency: float = 0.0,
        hang: float = 60.0,
        retry_after: float = 0.05,
        drip: float = 0.01,
        clock: Callable[[], float] = time.time,
    ):
        plan = faults if callable(faults) else random_faults(faults or {}, seed)
        rules = batches or BatchRules()
        self.bill = Bill()
        self.key_expires_after = key_expires_after
        self._stored = Stored(stored)
        self._model = Model(
            Script(answers or {}, pairs),
            plan,
            self.bill,
            self._stored,
            clock,
            passes=passes,
            structured=structured,
        )
        self._files = Files(rules.file_bytes, clock)
        self._batches = Batches(rules, self._model, self._files, clock)
        self._window = Window(limits or Limits())
        self._port, self._api_key, self._clock = port, api_key, clock
        self._latency, self._hang, self._retry_after, self._drip = latency, hang, retry_after, drip
        self._seen = 0
        self._loop: LoopThread | None = None
        self._connections: set[Connection] = set()

    @property
    def base_url(self) -> str:
        """The endpoint, such as ``http://127.0.0.1:40123/v1``."""
        return f"http://{HOST}:{self._port}/v1"

    def start(self) -> "ScriptedServer":
        """Listen, in a thread of its own."""
        loop = LoopThread().__enter__()
        try:
            loop.submit(self.listen()).result()
        except KcxError:
            loop.__exit__()
            raise
        self._loop = loop
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None:
            self._loop.submit(self.close()).result()
            self._loop.__exit__()
            self._loop = None

    def __enter__(self) -> "ScriptedServer":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def listen(self) -> None:
        """Listen in the running loop; raises `KcxError`."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._respond, self._connections), HOST, self._port, backlog=2048
            )
        except OSError as error:
            raise KcxError(
                f"cannot listen on {HOST}:{self._port}: {error.strerror or error}. Choose another port, "
                "or 0 for a free one."
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and close every connection."""
        self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()

    async def _respond(self, request: Request) -> Response:
        """The response; raises `Refused`."""
        if request.path == "/bill":
            return Response(200, self.bill.to_json().encode())
        self._check_key(request)
        route = request.method, request.path
        if route == ("POST", CHAT):
            return await self._chat(request)
        if route == ("GET", "/v1/models"):
            return found({"object": "list", "data": []})
        if route == ("GET", CHAT):
            return self._stored.page(request.query)
        if route == ("POST", "/v1/files"):
            return self._files.upload(request)
        if route == ("POST", "/v1/batches"):
            return self._batches.create(request.json())
        if route == ("GET", "/v1/batches"):
            return self._batches.listed(request.query)
        return self._one(request)

    def _one(self, request: Request) -> Response:
        """What is asked of one object, whose id stands in the path."""
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "GET", ["chat", "completions", name]:
                return self._stored.get(name)
            case "GET", ["files", name]:
                return self._files.describe(name)
            case "GET", ["files", name, "content"]:
                return self._files.download(name)
            case "GET", ["batches", name]:
                return self._batches.get(name)
            case "POST", ["batches", name, "cancel"]:
                return self._batches.cancel(name)
        raise Refused(refusal(404, f"no {request.method} {request.path} here"))

    def _check_key(self, request: Request) -> None:
        self._seen += 1
        expired = self.key_expires_after is not None and self._seen > self.key_expires_after
        wrong = (
            self._api_key is not None and request.headers.get("authorization") != f"Bearer {self._api_key}"
        )
        if expired or wrong:
            raise Refused(refusal(401, "Incorrect API key provided.", code="invalid_api_key"))

    async def _chat(self, request: Request) -> Response:
        self.bill.requests += 1
        body = request.json()
        ask = self._model.read(body)
        try:
            headers = self._window.take(asked_tokens(body, prompt_tokens(body)), self._clock())
        except Refused:
            self.bill.violations += 1
            raise
        ask, fault = self._model.take(ask)
        if self._latency:
            await asyncio.sleep(self._latency)
        if fault in UNBILLED:
            if fault == "hang":
                await asyncio.sleep(self._hang)
            response = unbilled(fault, self._clock(), self._retry_after)
            return replace(response, headers={**headers, **response.headers}) if headers else response
        completion = self._model.complete(ask, body, fault)
        headers["x-request-id"] = f"req_{completion['id'].removeprefix('chatcmpl-')}"
        return lost(Response(200, encoded(completion, fault), headers), fault, self._drip)
