"""What the routes take from a request beside its body."""

from typing import Any

from fastapi import Request

from kcx_jax.serving.errors import ApiError
from kcx_jax.serving.service import Service
from kcx_jax.serving.state import ServerState

_COUNTS = "kcx.counts"


def service_of(request: Request, model: str | None = None) -> Service:
    """What answers the request; `ApiError` 404 where it names another model."""
    state: ServerState = request.app.state.server
    if model not in (None, state.settings.model):
        raise ApiError(
            404, f"There is no model {model!r} here; there is {state.settings.model!r}.",
            param="model", code="model_not_found",
        )  # fmt: skip
    return state.service


def count(request: Request, **counts: int) -> None:
    """Note figures of a request, for the log and the metrics."""
    counts_of(request.scope).update(counts)


def counts_of(scope: Any) -> dict[str, int]:
    """The figures that were noted."""
    return scope.setdefault(_COUNTS, {})
