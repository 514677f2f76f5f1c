"""Stored completions: what ``store: true`` keeps, and the list of it by metadata."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kcx_jax.testing.llm_server.http import Refused, Response, found, refusal

MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512


class Stored:
    """The completions kept so far. ``enabled`` false: a server that knows neither `store` nor `metadata`."""

    def __init__(self, enabled: bool):
        self._enabled = enabled
        self._kept: dict[str, dict[str, Any]] = {}

    def check(self, body: Mapping[str, Any]) -> None:
        """Raises `Refused` where `store` and `metadata` of a request are not as they may be."""
        if not self._enabled:
            for name in ("store", "metadata"):
                if name in body:
                    raise Refused(refusal(400, f"Unrecognized request argument supplied: {name}", param=name))
        if not isinstance(body.get("store"), bool | None):
            raise Refused(refusal(400, "'store' has to be a boolean.", param="store"))
        if body.get("metadata") is not None and not body.get("store"):
            message = "The 'metadata' parameter is only allowed when 'store' is enabled."
            raise Refused(refusal(400, message, param="metadata"))
        check_metadata(body.get("metadata"))

    def keep(self, completion: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Keep `completion` if its request asked for it."""
        if body.get("store"):
            self._kept[completion["id"]] = {**completion, "metadata": body.get("metadata") or {}}

    def get(self, name: str) -> Response:
        """The completion called `name`."""
        if name not in self._kept:
            raise Refused(refusal(404, f"Completion {name} not found."))
        return Response(200, json.dumps(self._kept[name]).encode())

    def page(self, query: Mapping[str, str]) -> Response:
        """A page of the completions that have the model and the metadata of `query`."""
        if not self._enabled:
            raise Refused(refusal(404, "no GET /v1/chat/completions here"))
        wanted = {key[9:-1]: value for key, value in query.items() if key.startswith("metadata[")}
        model = query.get("model")
        chosen = [
            one
            for one in self._kept.values()
            if (model is None or one.get("model") == model) and wanted.items() <= one["metadata"].items()
        ]
        order = query.get("order", "asc")
        if order not in ("asc", "desc"):
            raise Refused(refusal(400, "'order' has to be asc or desc.", param="order"))
        return page(chosen if order == "asc" else chosen[::-1], query)


def check_metadata(metadata: Any) -> None:
    """Raises `Refused` for what is no metadata: at most 16 pairs of short strings."""
    if metadata is None:
        return
    if not isinstance(metadata, dict) or len(metadata) > MOST_PAIRS:
        message = f"'metadata' has to be an object of at most {MOST_PAIRS} pairs."
        raise Refused(refusal(400, message, param="metadata"))
    for key, value in metadata.items():
        if not isinstance(value, str) or len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            message = (
                f"'metadata.{key[:LONGEST_KEY]}': keys have at most {LONGEST_KEY} characters, values are "
            )
            raise Refused(refusal(400, f"{message}strings of at most {LONGEST_VALUE}.", param="metadata"))


def page(objects: Iterable[Mapping[str, Any]], query: Mapping[str, str]) -> Response:
    """A list object: what follows `after`, at most `limit` (1 to 100, 20 unless told) of it."""
    listed = list(objects)
    limit = query.get("limit", "20")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:4]) <= 100:
        raise Refused(refusal(400, "'limit' has to be between 1 and 100.", param="limit"))
    if "after" in query:
        names = [one["id"] for one in listed]
        if query["after"] not in names:
            raise Refused(refusal(404, f"'after': no {query['after']} in this list.", param="after"))
        listed = listed[names.index(query["after"]) + 1 :]
    data = listed[: int(limit)]
    return found(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(listed) > len(data),
        }
    )
