"""Bodies read strictly: so large and no larger, UTF-8, JSON as its standard has it, and Unicode in its strings."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from kcx_jax.serving.errors import ApiError

_DEEPEST = 32  # lists and objects in each other: a request of ours has four
_LONGEST_NUMBER = 64


class JsonRequest(Request):
    """A request whose body is read by the rules of this module."""

    async def body(self) -> bytes:
        """The whole body; `ApiError` 413 for one that is larger than the settings allow, told or not."""
        if not hasattr(self, "_body"):
            limit = self.app.state.settings.max_body
            declared = self.headers.get("content-length", "0")
            if declared.isdecimal() and len(declared) < _LONGEST_NUMBER and int(declared) > limit:
                raise _too_large(limit)
            parts, size = [], 0
            async for part in self.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
            self._body = b"".join(parts)
        return self._body

    async def json(self) -> Any:
        """The value in the body; `ApiError` 400 where there is none."""
        return strict_json(await self.body())


class JsonRoute(APIRoute):
    """A route that takes `JsonRequest`s, and no other content than JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if "POST" in (self.methods or ()):
                kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind != "application/json":
                    raise ApiError(415, "Send JSON, with the header Content-Type: application/json.")
            return await handler(JsonRequest(request.scope, request.receive))

        return strict


def strict_json(body: bytes) -> Any:
    """The value of a JSON text; `ApiError` 400 for anything that another reader might take for something else."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"not UTF-8 at byte {error.start}") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise _refused(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _refused("nested too deeply") from None
    _check(value)
    return value


def _check(value: Any) -> None:
    """Refuse what lies too deep, and strings with half a surrogate pair, which UTF-8 cannot write."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return
    raise _refused("nested too deeply")


def _parts(value: Any) -> Any:
    """What lies in a value, once it is checked itself."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise _refused("half a surrogate pair in a string: the text was decoded wrongly") from None
        return ()
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _refused("a key is written twice in one object")
    return value


def _no_constant(name: str) -> Any:
    raise _refused(f"{name} is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise _refused(f"a number of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _refused("a number that is too large")
    return number


def _refused(problem: str) -> ApiError:
    return ApiError(400, f"The body is not JSON that this server reads: {problem}.", code="invalid_json")


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"The body has more than {limit} bytes, which is all that this server reads.")
