"""A server on a free port, in this process, with whatever engine a test gives it."""

import asyncio
import threading

import httpx
import pytest

from kcx_jax.serving import ServerState, Service, Settings, listen, url_of
from kcx_jax.serving.app import create_app
from kcx_jax.serving.server import Server

from .stand_in import StandIn


class Running:
    """A server under test: `url`, a plain `client`, and its `state`."""

    def __init__(self, engine, ready: bool = True, **settings):
        self.engine = engine
        self.settings = Settings(model="tiny", **settings)
        self.state = ServerState(self.settings)
        self.server = Server(create_app(self.state), self.state)
        self._socket = listen("127.0.0.1", 0)
        self.url = url_of(self._socket).rstrip("/")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=60)
        if ready:
            self.state.ready(Service(engine, self.settings))

    def _run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self._socket]))

    def end(self) -> None:
        """As after SIGTERM."""
        self.server.should_exit = True

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join(60)
        assert not self._thread.is_alive()

    def until_idle(self) -> None:
        """Wait until no request is under way: the last one ends a moment after its client has the answer."""
        pause = threading.Event()
        for _ in range(600):
            if self.state.under_way == 0:
                return
            pause.wait(0.1)
        raise AssertionError(f"{self.state.under_way} requests stay under way")

    def post(self, path: str, body, **options) -> httpx.Response:
        """The answer to a JSON body."""
        return self.client.post(path, json=body, **options)


@pytest.fixture
def serving():
    """Call with an engine (default: a stand-in) and settings for a running server."""
    running: list[Running] = []

    def start(engine=None, **options) -> Running:
        running.append(Running(engine or StandIn(), **options))
        return running[-1]

    yield start
    for each in running:
        if isinstance(each.engine, StandIn):
            each.engine.let_go()
        each.client.close()
        each.end()
        each.join()
