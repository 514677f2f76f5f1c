"""Records that need not be paid for twice: the same text with the same annotation."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from kcx_jax.corpora import Record


def duplicates(records: Iterable[Record]) -> dict[str, str]:
    """The id of each record whose content an earlier one has, and the id of the first that has it.

    Content is language, text and annotation, exactly; what record and entities are called, the order in which
    entities, relations and arguments are listed, and `meta` are none of it. Keeps 16 bytes and an id a content.
    """
    first: dict[bytes, str] = {}
    found: dict[str, str] = {}
    for record in records:
        earlier = first.setdefault(_digest(record), record.id)
        if earlier != record.id:
            found[record.id] = earlier
    return found


def _digest(record: Record) -> bytes:
    value = record.to_json()
    names = _names(value.get("entities", ()))
    content: dict[str, Any] = {"language": record.language, "text": record.text}
    for layer in ("entities", "relations", "events"):
        if layer in value:
            content[layer] = sorted(_line(_renamed(item, names)) for item in value[layer])
    return hashlib.blake2b(_line(content).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _names(entities: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Entity id -> a name by its content; equal mentions are told apart by nothing but their order."""
    ordered = sorted(entities, key=lambda entity: _line(entity | {"id": ""}))
    return {entity["id"]: f"e{place}" for place, entity in enumerate(ordered)}


def _renamed(item: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    renamed = {
        key: names[value] if key in ("id", "head", "tail", "entity") else value
        for key, value in item.items()
        if key != "arguments"
    }
    if "arguments" in item:
        renamed["arguments"] = sorted(_line(_renamed(each, names)) for each in item["arguments"])
    return renamed


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
