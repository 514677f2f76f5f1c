"""Completions that the endpoint keeps (`store`), found again by their metadata: what was paid for is not paid twice."""

import json
import uuid
from typing import Any

from kcx_jax.llm.ledger import Ledger, NoLedger
from kcx_jax.llm.retry import Failure
from kcx_jax.llm.transport import Answer, Transport

_RUN = "name of this ledger in metadata"


def ledger_name(ledger: Ledger | NoLedger) -> str:
    """The name by which an endpoint's metadata knows this ledger, made when it is first asked for."""
    name = ledger.noted(_RUN)
    if name is None:
        name = uuid.uuid4().hex
        ledger.note(_RUN, name)
        if isinstance(ledger, Ledger):
            ledger.store.flush()
    return name


def marks(ledger: Ledger | NoLedger, call: int) -> dict[str, str]:
    """The metadata of a call."""
    return {"kcx_run": ledger_name(ledger), "kcx_call": str(call)}


async def find_stored(transport: Transport, ledger: Ledger | NoLedger, call: int) -> Answer | Failure | None:
    """The completion kept for `call`; None when there is none; a `Failure` when the endpoint cannot tell.

    An endpoint that has no such list (404 or 405) kept nothing.
    """
    query = {f"metadata[{name}]": value for name, value in marks(ledger, call).items()}
    result = await transport.get({**query, "limit": "1"})
    if isinstance(result, Failure):
        return None if result.http_status in (404, 405) else result
    found = _first(result.body)
    if found is None:
        return None
    return Answer(json.dumps(found, ensure_ascii=False).encode(), result.http_status, result.request_id)


def _first(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    data = value.get("data") if isinstance(value, dict) else None
    return data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else None
