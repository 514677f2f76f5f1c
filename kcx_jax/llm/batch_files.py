"""The JSON Lines of the Batch API: requests in, results out, joined by `custom_id`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kcx_jax.llm import retry as on
from kcx_jax.llm.retry import Failure
from kcx_jax.llm.transport import Answer

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"


def request_line(call: int, body: dict[str, Any]) -> bytes:
    """One request of an input file; `call` is its number in the ledger."""
    line = {"custom_id": str(call), "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Result:
    """What became of one call; `call` is None where a line names none."""

    call: int | None
    result: Answer | Failure


def read_results(text: bytes) -> Iterator[Result]:
    """The results in an output or error file, a line each, in its order, which is not that of the input."""
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        value = value if isinstance(value, dict) else {}
        yield Result(_call(value.get("custom_id")), _result(value))


def _call(custom_id: Any) -> int | None:
    """The number that `request_line` wrote; None for what it cannot have written."""
    written = isinstance(custom_id, str) and custom_id.isascii() and custom_id.isdecimal()
    return int(custom_id) if written and len(custom_id) < 19 else None


def _result(value: dict[str, Any]) -> Answer | Failure:
    response, error = value.get("response"), value.get("error")
    if isinstance(response, dict) and isinstance(response.get("body"), dict):
        status = response.get("status_code")
        status = status if isinstance(status, int) else 200
        body = json.dumps(response["body"], ensure_ascii=False).encode("utf-8", "surrogatepass")
        if status < 400:
            return Answer(body, status, _text(response.get("request_id")))
        kind = on.SERVER if status >= 500 or status in (408, 409, 429) else on.BAD_REQUEST
        return Failure(kind, f"HTTP {status}: {_message(response['body'])}", status, body=body)
    code = error.get("code") if isinstance(error, dict) else None
    expired = code == "batch_expired"
    return Failure(on.SERVER if expired else on.BAD_REQUEST, f"batch: {_message({'error': error})}")


def _message(body: dict[str, Any]) -> str:
    error = body.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or error or "no message")[:300]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
