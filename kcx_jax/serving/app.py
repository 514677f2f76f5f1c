"""The application: routes, and around them what every request goes through."""

from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from kcx_jax import __version__
from kcx_jax.serving import completions, extract, pages
from kcx_jax.serving.errors import add_error_handlers
from kcx_jax.serving.keys import KeyNeeded, is_open
from kcx_jax.serving.metrics import Metrics
from kcx_jax.serving.observed import Observed
from kcx_jax.serving.state import ServerState
from kcx_jax.serving.under_way import UnderWay


def create_app(state: ServerState) -> ASGIApp:
    """The ASGI application of a server. It takes requests once `state.ready` was told what answers them."""
    settings = state.settings
    app = _Documented(
        title="kcx_jax",
        version=__version__,
        description="Information extraction as code.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.server, app.state.settings, app.state.metrics = state, settings, Metrics(state)
    for part in (extract, completions, pages):
        app.include_router(part.router)
    add_error_handlers(app)
    # The last one added is the first that a request meets.
    app.add_middleware(UnderWay, state=state)
    if settings.api_key is not None:
        app.add_middleware(KeyNeeded, key=settings.api_key)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    paths = {path for part in (extract, completions, pages) for path in map(_path, part.router.routes)}
    return Observed(app, app.state.metrics, paths)


def _path(route: BaseRoute) -> str:
    return getattr(route, "path", "")


class _Documented(FastAPI):
    """FastAPI, whose document says what is so: errors of validation are 400, and keys are needed where they are."""

    def openapi(self) -> dict[str, Any]:
        """See FastAPI."""
        if self.openapi_schema is None:
            document = super().openapi()
            for methods in document["paths"].values():
                for route in methods.values():
                    route["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            if self.state.settings.api_key is not None:
                document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
                for path, methods in document["paths"].items():
                    for route in methods.values():
                        if not is_open(path):
                            route["security"] = [{"key": []}]
        return super().openapi()
