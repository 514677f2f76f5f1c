"""Uploaded and written files, by id."""

import re
from collections.abc import Callable
from typing import Any

from kcx_jax.testing.llm_server.http import Refused, Request, Response, found, refusal


class Files:
    """Files of at most `largest` bytes; `clock` gives Unix time."""

    def __init__(self, largest: int, clock: Callable[[], float]):
        self._largest, self._clock = largest, clock
        self._files: dict[str, tuple[dict[str, Any], bytes]] = {}

    def add(self, filename: str, purpose: str, content: bytes) -> str:
        """Keep a file and return its id."""
        name = f"file-{len(self._files):08d}"
        described = {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": int(self._clock()),
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        self._files[name] = described, content
        return name

    def upload(self, request: Request) -> Response:
        """``POST /v1/files``: a form with a file and the purpose ``batch``."""
        form = _form(request)
        filename, content = form.get("file", (None, b""))
        purpose = form.get("purpose", (None, b""))[1].decode(errors="replace")
        if filename is None:
            raise Refused(refusal(400, "'file' is a required property", param="file"))
        if purpose != "batch":
            raise Refused(refusal(400, f"purpose {purpose!r}: only batch is served here", param="purpose"))
        if not filename.endswith(".jsonl"):
            raise Refused(refusal(400, "Invalid file format for Batch API. Must be .jsonl"))
        if len(content) > self._largest:
            raise Refused(refusal(400, "File is too large."))
        return self.describe(self.add(filename, purpose, content))

    def describe(self, name: str) -> Response:
        """``GET /v1/files/{name}``."""
        return found(self._file(name)[0])

    def download(self, name: str) -> Response:
        """``GET /v1/files/{name}/content``."""
        return Response(200, self.content(name), {"content-type": "application/octet-stream"})

    def content(self, name: str) -> bytes:
        """Raises `Refused` (404) for a file that is not here."""
        return self._file(name)[1]

    def _file(self, name: str) -> tuple[dict[str, Any], bytes]:
        if name not in self._files:
            raise Refused(refusal(404, f"No such File object: {name}", param="id"))
        return self._files[name]


def _form(request: Request) -> dict[str, tuple[str | None, bytes]]:
    """The fields of a multipart body: name -> (file name, content)."""
    boundary = re.search(r'boundary="?([^";]+)"?', request.headers.get("content-type", ""))
    if boundary is None:
        raise Refused(refusal(400, "A multipart/form-data body is needed."))
    fields: dict[str, tuple[str | None, bytes]] = {}
    for part in (b"\r\n" + request.body).split(b"\r\n--" + boundary[1].encode("latin-1"))[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        described = head.decode(errors="replace")
        name = re.search(r'[; ]name="([^"]*)"', described)
        filename = re.search(r'filename="([^"]*)"', described)
        if name:
            fields[name[1]] = (filename[1] if filename else None, content)
    return fields
