"""HTTP/1.1 as far as the scripted server speaks it, and the ways in which a response can go wrong.

`asyncio.Protocol` and no streams: it has to answer faster than the clients that it measures.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl

LARGEST_HEAD = 64 * 2**10
LARGEST_BODY = 256 * 2**20


@dataclass(frozen=True)
class Request:
    """Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; raises `Refused`."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Refused(
                refusal(400, f"We could not parse the JSON body of your request: {error}")
            ) from error
        if not isinstance(value, dict):
            raise Refused(refusal(400, "The body of the request has to be a JSON object."))
        return value


@dataclass(frozen=True)
class Response:
    """``cut``: the connection ends after so many bytes of the body, or, below zero, before the first byte of
    the head; ``reset``: it ends with RST. ``length``: what content-length claims. ``drip``: seconds a byte."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    length: int | None = None
    drip: float = 0.0

    def message(self) -> bytes:
        """What goes over the wire."""
        if self.cut is not None and self.cut < 0:
            return b""
        headers = {"content-type": "application/json"} | dict(self.headers)
        headers["content-length"] = str(len(self.body) if self.length is None else self.length)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} .\r\n{head}\r\n".encode("latin-1") + self.body[: self.cut]


class Refused(Exception):
    """A request that gets `response` and no more."""

    def __init__(self, response: Response):
        super().__init__(response.status)
        self.response = response


def refusal(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in OpenAI's form."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Response(status, json.dumps({"error": error}).encode(), headers or {})


def found(value: Any) -> Response:
    """`value` as JSON, with status 200."""
    return Response(200, json.dumps(value).encode())


class Connection(asyncio.Protocol):
    """One client: its requests, answered by `handle` in their order. `open_ones` knows it while it lives."""

    def __init__(self, handle: Callable[[Request], Awaitable[Response]], open_ones: set["Connection"]):
        self._handle, self._open_ones = handle, open_ones
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str], int] | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_ones.discard(self)  # what it asked for is still answered, and billed: as in the real world

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._next()

    def _next(self) -> None:
        try:
            request = self._read()
        except ValueError:
            self.transport.abort()  # it speaks something else
            return
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._serve(request))

    def _read(self) -> Request | None:
        """The next whole request in the buffer."""
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if max(end, len(self._buffer) if end < 0 else 0) > LARGEST_HEAD:
                raise ValueError("head too large")
            if end < 0:
                return None
            self._head = _read_head(self._buffer[:end].decode("latin-1"))
            del self._buffer[: end + 4]
        method, target, headers, length = self._head
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        path, _, query = target.partition("?")
        return Request(method, path, dict(parse_qsl(query)), headers, body)

    async def _serve(self, request: Request) -> None:
        try:
            response = await self._handle(request)
        except Refused as error:
            response = error.response
        message = response.message()
        if response.drip:
            for index in range(len(message)):
                self.transport.write(message[index : index + 1])
                await asyncio.sleep(response.drip)
        else:
            self.transport.write(message)
        self._task = None
        if response.reset:
            reset(self.transport)
        elif response.cut is not None:
            self.transport.close()
        elif not self.transport.is_closing():
            self._next()


def reset(transport: asyncio.Transport) -> None:
    """End the connection with RST, not FIN."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def _read_head(head: str) -> tuple[str, str, dict[str, str], int]:
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= LARGEST_BODY:
        raise ValueError("body too large")
    return method, target, headers, length
