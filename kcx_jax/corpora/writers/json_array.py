"""A JSON array with one element a line, as annotation tools and trainers import it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kcx_jax.corpora.jsonl import json_line, open_output


def write_json_array(rows: Iterable[dict[str, Any]], path: Path, overwrite: bool) -> int:
    """Write the rows as one array and return how many; `KcxError` as `open_output` and `json_line` say."""
    count = 0
    with open_output(path, overwrite) as handle:
        handle.write(b"[")
        for row in rows:
            handle.write((b",\n" if count else b"\n") + json_line(row).rstrip(b"\n"))
            count += 1
        handle.write(b"\n]\n")
    return count
