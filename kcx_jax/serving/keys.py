"""The API key that requests have to show, where there is one."""

import hmac
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kcx_jax.serving.errors import ApiError, error_response

# What a browser or an orchestrator asks for before it can show a key; no text and no schema is in it.
_OPEN = ("/", "/health", "/ready", "/docs", "/openapi.json")


def is_open(path: str) -> bool:
    """Whether no key is needed there."""
    return path in _OPEN or path.startswith("/page/")


class KeyNeeded:
    """The middleware: ``Authorization: Bearer KEY``, or 401."""

    def __init__(self, app: ASGIApp, key: str):
        self.app, self._digest = app, sha256(key.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or is_open(scope["path"]) or self._is_shown(scope):
            await self.app(scope, receive, send)
            return
        error = ApiError(
            401, "An API key is needed: send the header Authorization: Bearer KEY.",
            code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
        await error_response(error)(scope, receive, send)

    def _is_shown(self, scope: Scope) -> bool:
        kind, _, shown = Headers(scope=scope).get("authorization", "").partition(" ")
        # Digests have one length, and are compared in a time that says nothing of the key.
        return kind.lower() == "bearer" and hmac.compare_digest(
            sha256(shown.encode("latin-1")).digest(), self._digest
        )
