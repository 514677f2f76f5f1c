"""The process: a socket, a thread that loads the model, uvicorn, and the end on SIGTERM."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from kcx_jax.errors import KcxError
from kcx_jax.serving.app import create_app
from kcx_jax.serving.service import Service
from kcx_jax.serving.settings import Settings
from kcx_jax.serving.state import ServerState

LOG = logging.getLogger("kcx.serve")
_LAST_BYTES = 2  # seconds until connections are closed on readers that do not take the end of their answer


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one. Raises `KcxError` where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KcxError(
            f"cannot listen on {host} port {port}: {reason}. Choose another --port or --host, or end what listens "
            "there."
        ) from error


def url_of(listening: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(settings: Settings, listening: socket.socket, load: Callable[[], Service]) -> None:
    """Answer requests until a signal says to end; `load` makes what answers them, on a thread of its own.

    SIGTERM and Ctrl-C let what is under way come to its end (`Settings.drain`), a second one does not; while the model
    is still being loaded the process dies of them. Raises what `load` raises, and `KeyboardInterrupt` after Ctrl-C.
    """
    state = ServerState(settings)
    server = Server(create_app(state), state)
    failures: list[BaseException] = []

    def loading() -> None:
        try:
            service = load()
            service.warm()
            state.ready(service)
            LOG.info("ready", extra={"fields": {"event": "ready", "model": settings.model}})
        except BaseException as error:  # whatever it is, the server ends with it
            failures.append(error)
            server.should_exit = True

    loader = threading.Thread(target=loading, name="kcx-load", daemon=True)
    loader.start()
    try:
        asyncio.run(server.serve(sockets=[listening]))
    finally:
        if state.loaded is not None:
            state.loaded.engine.close()
    if loader.is_alive() and server.ended_by is not None:
        # Python cannot end by itself beside a thread that compiles: it aborts.
        signal.signal(server.ended_by, signal.SIG_DFL)
        signal.raise_signal(server.ended_by)
    if failures:
        raise failures[0]
    if server.ended_by == signal.SIGINT:
        raise KeyboardInterrupt


class Server(uvicorn.Server):
    """uvicorn, which on a signal keeps its socket while requests come to their end: /ready says 503 meanwhile, and
    whoever asks for more is told so.
    """

    def __init__(self, app: Callable, state: ServerState):
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_LAST_BYTES,
        )
        super().__init__(config)
        self.state = state
        self.ended_by: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal asks for the end, a second one for it at once."""
        if self.should_exit and self._loop is not None:
            self._loop.call_soon_threadsafe(self.state.end_all)
        self.ended_by, self.should_exit = sig, True

    async def main_loop(self) -> None:
        """Serve until the end is asked for, then until no request is under way."""
        self._loop = asyncio.get_running_loop()
        await super().main_loop()
        fields = {"event": "draining", "under_way": self.state.under_way}
        LOG.info("draining", extra={"fields": fields})
        await self.state.drain()
        LOG.info("stopped", extra={"fields": {"event": "stopped"}})
