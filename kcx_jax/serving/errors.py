"""Errors as OpenAI's clients expect them, whatever went wrong: ``{"error": {"message", "type", "param", "code"}}``."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from kcx_jax.decoding import ContextTooLongError
from kcx_jax.decoding.live import LiveClosedError, QueueFullError
from kcx_jax.errors import KcxError, UsageError

_CHOICE = re.compile(r"str|int|float|bool|[a-z-]+\[.*\]")  # which of several types a complaint is about
_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class ErrorDetail(BaseModel):
    """What was wrong, and where: `param` is the key of the request, `code` a word for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every answer that is none of success."""

    error: ErrorDetail


class ApiError(HTTPException):
    """An answer with an HTTP status of failure; see `ErrorDetail`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(status, message, headers)
        self.param, self.code = param, code


def as_api_error(error: Exception) -> ApiError:
    """What is said of an error of ours; a bug becomes one without details."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ContextTooLongError):
        message = (
            f"{error.context} tokens after a beginning of {error.prefix} leave no room for an answer in the "
            f"model's {error.positions} positions. Split the text, or use a smaller schema."
        )
        return ApiError(400, message, code="context_length_exceeded")
    if isinstance(error, QueueFullError):
        return ApiError(429, str(error), code="queue_full", headers={"Retry-After": "1"})
    if isinstance(error, LiveClosedError):
        return ApiError(503, str(error), code="shutting_down")
    if isinstance(error, UsageError):
        return ApiError(400, str(error))
    if isinstance(error, KcxError):
        return ApiError(500, str(error), code="engine_failed")
    return ApiError(500, "The server met a bug of its own; its log has the place.", code="internal_error")


def error_body(error: ApiError) -> dict[str, Any]:
    """The JSON body of an error."""
    kind = _TYPES.get(
        error.status_code, "server_error" if error.status_code >= 500 else "invalid_request_error"
    )
    detail = {"message": error.detail, "type": kind, "param": error.param, "code": error.code}
    return {"error": detail}


def error_response(error: ApiError) -> JSONResponse:
    """The whole answer."""
    return JSONResponse(error_body(error), error.status_code, error.headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The statuses of failure of a route, for its documentation."""
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    400: "The request is wrong; the message says where.",
    401: "The API key is missing or wrong.",
    404: "There is nothing of this name.",
    405: "The path is there, but not for this method.",
    408: "The body did not arrive in time.",
    413: "The body is larger than this server reads.",
    415: "The body is not declared as JSON.",
    429: "As many requests wait as may; Retry-After says when to come again.",
    500: "The server failed.",
    503: "The model is being loaded, or the server is shutting down.",
    504: "The answer was not ready in time.",
}


def add_error_handlers(app: FastAPI) -> None:
    """Let every error of `app` become an answer of this form."""

    async def of_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error, ApiError):
            return error_response(error)
        return error_response(ApiError(error.status_code, error.detail, headers=error.headers))

    async def of_validation(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(_of_validation(error))

    async def of_ours(_: Request, error: Exception) -> JSONResponse:
        return error_response(as_api_error(error))

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(KcxError, of_ours)
    app.add_exception_handler(Exception, of_ours)


def _of_validation(error: RequestValidationError) -> ApiError:
    """The first complaint that says more than that a type is wrong, else the first; with the key it is about."""
    complaints = error.errors()
    first = next((each for each in complaints if not each["type"].endswith("_type")), complaints[0])
    param = ".".join(str(part) for part in first["loc"][1:] if not _CHOICE.fullmatch(str(part))) or None
    if first["type"] == "extra_forbidden":
        return ApiError(
            400, f"{param} is no parameter that this server knows.", param=param, code="unknown_parameter"
        )
    return ApiError(400, f"{param or 'body'}: {first['msg']}", param=param, code=first["type"])
