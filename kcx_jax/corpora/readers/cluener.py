"""`cluener`: JSON lines `{"text", "label": {type: {surface: [[start, end], ...]}}}`, ends inclusive."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Mention, Record
from kcx_jax.errors import KcxError


def read_cluener(path: Path, options: Options) -> Iterator[Record]:
    """The lines of a CLUENER file; a line without `label` (the public test set) is not annotated."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        row.only("id", "text", "label")
        text = row.string("text", empty=True)
        meta: dict[str, Any] = {"source": path.name}
        entities: tuple[Mention, ...] | None = None
        if "label" in row.value:
            spans = sorted(_spans(row.get("label"), text, where))
            entities = tuple(
                Mention(f"e{i}", options.labels(label, where), start, end, text[start:end])
                for i, (start, end, label) in enumerate(spans)
            )
            meta["source_labels"] = {f"e{i}": label for i, (_, _, label) in enumerate(spans)}
        yield Record(record_id(path, index), options.tag, text, entities=entities, meta=meta)


def _spans(labels: Any, text: str, where: str) -> Iterator[tuple[int, int, str]]:
    """The (start, end exclusive, label) of one line, each checked against its surface."""
    for label, surfaces in JsonObject(labels, where, "label").value.items():
        for surface, places in JsonObject(surfaces, where, f"label.{label}").value.items():
            for place in places if isinstance(places, list) else [places]:
                pair = isinstance(place, list) and len(place) == 2 and all(type(x) is int for x in place)
                inside = pair and 0 <= place[0] <= place[1] < len(text)
                if not inside or text[place[0] : place[1] + 1] != surface:
                    raise KcxError(f"{where}: label.{label}: {surface!r} is not at {place} (end inclusive)")
                yield place[0], place[1] + 1, label
