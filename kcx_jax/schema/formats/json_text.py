"""JSON for people to read: other scripts as they are, unless UTF-8 cannot write them."""

import json
from typing import Any


def json_text(value: Any, indent: int | None = 2) -> str:
    """The value as JSON with a line break at its end; with a lone surrogate in it, all but ASCII is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    return text + "\n"
