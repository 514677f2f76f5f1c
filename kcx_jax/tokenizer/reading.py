"""Reading a tokenizer's files, with messages that name them."""

import json
from pathlib import Path
from typing import Any

from kcx_jax.errors import KcxError


def read_bytes(path: Path) -> bytes:
    """The content of `path`; `KcxError` naming it when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}.") from error


def json_object(content: bytes, path: Path) -> dict[str, Any]:
    """The JSON object that `content`, read from `path`, holds; `KcxError` when it holds none."""
    try:
        found = json.loads(content)
    except ValueError as error:
        raise KcxError(f"{path} is not JSON: {error}. It is truncated or damaged; fetch it again.") from error
    if not isinstance(found, dict):
        raise KcxError(f"{path}: expected a JSON object, found {type(found).__name__}.")
    return found


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, or None when there is no such file."""
    return json_object(read_bytes(path), path) if path.exists() else None
