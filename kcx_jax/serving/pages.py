"""Routes that only say something: the page, whether the server lives, what it has, its figures."""

import functools
import time
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from kcx_jax.serving.errors import ApiError, documented
from kcx_jax.serving.schemas import listed

router = APIRouter()
_BEGUN = int(time.time())
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class ModelEntry(BaseModel):
    """A model of this server."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models of this server: one."""

    object: Literal["list"]
    data: list[ModelEntry]


class SchemaEntry(BaseModel):
    """A schema that may be asked for by name."""

    name: str
    code: str
    labels: list[str]
    tasks: list[str]


class SchemaList(BaseModel):
    """The named schemas."""

    schemas: list[SchemaEntry]


class Status(BaseModel):
    """How the server is."""

    status: str


@router.get("/", include_in_schema=False)
def page() -> Response:
    """The page for people."""
    return _file("index.html")


@router.get("/page/{name}", include_in_schema=False)
def page_file(name: str) -> Response:
    """Its styles and scripts."""
    return _file(name)


def _file(name: str) -> Response:
    """A file of the page; names of requests are looked up among those that there are, and open nothing."""
    found = _page_files().get(name)
    if found is None:
        raise ApiError(404, "The page has no such file.")
    return Response(
        found.read_bytes(), media_type=_KINDS[Path(name).suffix], headers={"Cache-Control": "no-cache"}
    )


@functools.cache
def _page_files() -> dict[str, Traversable]:
    folder = files("kcx_jax.serving").joinpath("page")
    return {each.name: each for each in folder.iterdir() if Path(each.name).suffix in _KINDS}


@router.get("/health", summary="Alive", response_model=Status)
def health() -> dict[str, str]:
    """The process answers; it says nothing of the model."""
    return {"status": "alive"}


@router.get("/ready", summary="Ready", response_model=Status, responses=documented(503))
def ready(request: Request) -> dict[str, str]:
    """Requests are taken: the model is loaded and warm, and the server is not shutting down."""
    refusal = request.app.state.server.unready()
    if refusal is not None:
        raise refusal
    return {"status": "ready"}


@router.get("/v1/models", summary="Models", response_model=ModelList, responses=documented(401))
def models(request: Request) -> dict[str, Any]:
    """OpenAI-compatible."""
    name = request.app.state.server.settings.model
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": _BEGUN, "owned_by": "kcx_jax"}],
    }


@router.get("/v1/schemas", summary="Named schemas", response_model=SchemaList, responses=documented(401))
def schemas(request: Request) -> dict[str, Any]:
    """The schemas that the server was started with."""
    return {"schemas": listed(request.app.state.server.settings.schemas)}


@router.get(
    "/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse, responses=documented(401)
)
def metrics(request: Request) -> Response:
    """Requests, latencies, tokens, queue and slots."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """The routes for people, from the OpenAPI document; nothing is loaded from elsewhere."""
    document = request.app.openapi()
    parts = [
        f"<section><h2>{method.upper()} {escape(path)}</h2><p>{escape(route['summary'])}. "
        f"{escape(route['description'])}</p><ul>{_statuses(route)}</ul></section>"
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    ]
    title = escape(document["info"]["title"])
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<link rel="stylesheet" href="/page/style.css"><main><h1>{title}</h1>'
        f'<p>Bodies and answers in full: <a href="/openapi.json">openapi.json</a>.</p>{"".join(parts)}</main></html>'
    )


def _statuses(route: dict[str, Any]) -> str:
    return "".join(
        f"<li>{status}: {escape(answer['description'])}</li>" for status, answer in route["responses"].items()
    )
