"""Records that are not paid for twice: the same text with the same annotation, under other names."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.errors import KcxError
from kcx_jax.parallel.translation.outcomes import Outcome
from kcx_jax.parallel.translation.spans import carry_over, places_of


class Originals:
    """The first record of each content, kept in a temporary file: memory does not grow with their number."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False
        )  # SQLite's temporary file
        with _full_disk_told():
            self._db.execute("CREATE TABLE original (digest BLOB PRIMARY KEY, id BLOB) WITHOUT ROWID")
            self._db.execute("BEGIN")  # for good: nobody ever reads the file again

    def of(self, record: Record) -> str | None:
        """The id of the earlier record that `record` is a duplicate of; None: it is the first of its content."""
        digest, id = content_digest(record), record.id.encode("utf-8", "surrogatepass")
        with _full_disk_told():
            new = self._db.execute("INSERT OR IGNORE INTO original VALUES (?, ?)", (digest, id))
            if new.rowcount:
                return None
            found = self._db.execute("SELECT id FROM original WHERE digest = ?", (digest,)).fetchone()[0]
        return found.decode("utf-8", "surrogatepass")

    def __enter__(self) -> "Originals":
        return self

    def __exit__(self, *exc: object) -> None:
        self._db.close()


def content_digest(record: Record) -> bytes:
    """16 bytes, the same for the same content: language, text and annotation, exactly.

    What record and entities are called, the order in which entities, relations and arguments are listed, and `meta`
    are none of it.
    """
    value = record.to_json()
    names = _names(value.get("entities", ()))
    content: dict[str, Any] = {"language": record.language, "text": record.text}
    for layer in ("entities", "relations", "events"):
        if layer in value:
            content[layer] = sorted(_line(_renamed(item, names)) for item in value[layer])
    return hashlib.blake2b(_line(content).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def as_duplicate(outcome: Outcome, record: Record) -> Outcome:
    """How `record` ended, whose content is that of the record of `outcome`: as that one did."""
    pair = outcome.pair and duplicate_pair(outcome.pair, record)
    return replace(outcome, record=record, pair=pair, duplicate_of=outcome.record.id)


def duplicate_pair(pair: ParallelRecord, record: Record) -> ParallelRecord:
    """The pair of `record`, whose content is that of the source of `pair`; its provenance says of which it is."""
    target = carry_over(record, pair.target.text, pair.target.language, places_of(pair.source, pair.target))
    target.check(f"record {record.id!r}, a duplicate of {pair.id!r}")
    return ParallelRecord(record.id, record, target, {**pair.provenance, "duplicate_of": pair.id})


def _names(entities: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Entity id -> a name by its content; equal mentions are told apart by nothing but their order."""
    ordered = sorted(entities, key=lambda entity: _line(entity | {"id": ""}))
    return {entity["id"]: f"e{place}" for place, entity in enumerate(ordered)}


def _renamed(item: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    renamed = {
        # A name that no entity has stays: the record is refused when it is checked.
        key: names.get(value, value) if key in ("id", "head", "tail", "entity") else value
        for key, value in item.items()
        if key != "arguments"
    }
    if "arguments" in item:
        renamed["arguments"] = sorted(_line(_renamed(each, names)) for each in item["arguments"])
    return renamed


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise KcxError(
            f"cannot tell duplicates apart: {error}. Free some space where temporary files go (TMPDIR)."
        ) from error
