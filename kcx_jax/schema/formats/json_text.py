"""JSON for people to read: other scripts as they are, unless UTF-8 cannot write them."""

import json
from typing import Any

from kcx_jax.errors import UsageError


def json_text(value: Any, indent: int | None = 2) -> str:
    """The value as JSON with a line break at its end; with a lone surrogate in it, all but ASCII is escaped.

    Raises `UsageError` for the two halves of a pair side by side: read again, they would be one character.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
        if json.loads(text) != value:
            raise UsageError(
                "JSON cannot hold the two halves of a surrogate pair as two characters: a text was decoded wrongly"
            ) from None
    return text + "\n"
