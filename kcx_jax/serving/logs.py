"""Logs as JSON Lines on stderr."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from kcx_jax.serving.observed import failure_fields


class JsonLines(logging.Formatter):
    """A record as one line: time, level, and its fields; of an error its kind and place, never its message."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        fields = getattr(record, "fields", None)
        line |= {"event": "message", "message": record.getMessage()} if fields is None else fields
        if record.exc_info and record.exc_info[1] is not None:
            line |= failure_fields(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr() -> None:
    """Send what this server and its libraries have to say there; requests are told by `Observed` alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("kcx.serve").setLevel(logging.INFO)
