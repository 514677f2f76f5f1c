"""`doccano`: its JSON lines of sequence labelling, and those with relations.

    {"id", "text", "label": [[start, end, label], ...]}                       also "labels"
    {"id", "text", "entities": [{"id", "label", "start_offset", "end_offset"}],
     "relations": [{"from_id", "to_id", "type"}]}

Offsets are half-open code points (doccano counts them so) unless another unit is named. No surface stands beside
them: what does not lie in the
text is an error.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record


def read_doccano(path: Path, options: Options) -> Iterator[Record]:
    """The texts of an export; `KcxError` naming the key for what does not lie in its text."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft(path, where, row.string("text", empty=True), options)
        linked = "entities" in row.value
        if linked:
            _objects(row, draft)
        key = next((key for key in ("label", "labels") if key in row.value), None)
        for i, item in enumerate(array(row.get(key, []), f"{where}: {key}") if key and not linked else ()):
            place = f"{key}[{i}]"
            start, end, label = fields(item, (int, int, str), f"{where}: {place}", "[start, end, label]")[:3]
            draft.mention(draft.file_span(start, end, place), label, place)
        meta: dict[str, Any] = {"source_id": str(row.get("id"))} if row.get("id") is not None else {}
        yield draft.record(
            record_id(path, index),
            entities=linked or key is not None,
            relations=linked and "relations" in row.value,
            **meta,
        )


def _objects(row: JsonObject, draft: Draft) -> None:
    ids: dict[int, str] = {}
    for node in row.items("entities", lambda item: item):
        span = draft.file_span(node.integer("start_offset"), node.integer("end_offset"), node.key)
        ids[node.integer("id")] = draft.mention(span, node.string("label"), node.key)
    for node in row.items("relations", lambda item: item) or ():
        for key in ("from_id", "to_id"):
            if node.integer(key) not in ids:
                raise node.error(key, f"no entity has the id {node.integer(key)}")
        draft.link(node.string("type"), ids[node.integer("from_id")], ids[node.integer("to_id")], node.key)
