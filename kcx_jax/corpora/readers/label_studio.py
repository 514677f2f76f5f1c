"""`label-studio`: what Label Studio exports, as JSON (tasks with `annotations`) or JSON-MIN.

    {"id", "data": {"text"}, "annotations": [{"result": [
        {"type": "labels", "value": {"start", "end", "text", "labels"}}]}]}
    {"id", "text", "label": [{"start", "end", "text", "labels"}]}

The text is `text`, or the one string of `data`. Offsets count code points (UTF-16 units in its first versions); the
surfaces beside them decide (`offset_units`). A region of several labels is several entities; relations link regions,
and one without a label is called `related`. Of several annotations the first that was not cancelled is read; the
others, choices, ratings and the like are set aside and counted. A task without an annotation is not annotated.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, kind_of
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.offset_units import code_points
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record

_UNLABELLED = "related"


def read_label_studio(path: Path, options: Options) -> Iterator[Record]:
    """The tasks of an export; `KcxError` naming the key for a span that does not stand where it says."""
    for index, (where, value) in enumerate(read_json_items(path)):
        task = JsonObject(value, where)
        meta: dict[str, Any] = {"source_id": str(task.get("id"))} if task.get("id") is not None else {}
        annotations = _annotations(task) if "data" in task.value else None
        data = JsonObject(task.get("data"), where, "data") if "data" in task.value else task
        draft = Draft(path, where, _text(data), options)
        annotated = bool(annotations) or annotations is None
        regions = _minimal(task) if annotations is None else (annotations[0] if annotations else ())
        if annotations and len(annotations) > 1:
            draft.set_aside("further annotations", len(annotations) - 1)
        _read(draft, regions)
        yield draft.record(
            record_id(path, index), entities=annotated, relations=annotated and bool(draft.links), **meta
        )


def _text(data: JsonObject) -> str:
    strings = [key for key, value in data.value.items() if isinstance(value, str)]
    if "text" in strings:
        return data.string("text", empty=True)
    if len(strings) != 1:
        raise data.error(
            "text", f"is missing, and {len(strings)} other keys hold strings; rename the one with the text"
        )
    return data.string(strings[0], empty=True)


def _annotations(task: JsonObject) -> list[tuple[JsonObject, ...]]:
    """The regions of each annotation that was not cancelled."""
    listed = task.items("annotations", lambda node: node) or ()
    return [node.items("result", lambda item: item) or () for node in listed if not node.get("was_cancelled")]


def _minimal(task: JsonObject) -> tuple[JsonObject, ...]:
    """The regions of JSON-MIN, in the form of the others: a list of objects with `start` under any key."""
    for key, value in task.value.items():
        if isinstance(value, list) and all(isinstance(item, dict) and "start" in item for item in value):
            return tuple(
                JsonObject({"type": "labels", "value": item}, task.where, f"{key}[{i}]")
                for i, item in enumerate(value)
            )
    return ()


def _read(draft: Draft, regions: Sequence[JsonObject]) -> None:
    spans: list[tuple[JsonObject, JsonObject, list[str]]] = []
    links: list[JsonObject] = []
    for node in regions:
        value = JsonObject(node.get("value", {}), node.where, f"{node.key}.value")
        if node.get("type") == "relation":
            links.append(node)
        elif labels := _labels(value, "labels") or _labels(value, "hypertextlabels"):
            spans.append((node, value, labels))
        else:
            draft.set_aside(f"regions of type {node.get('type') or 'unknown'}", dict(node.value))
    placed = [(value.integer("start"), value.integer("end"), value.string("text")) for _, value, _ in spans]
    where = f"{draft.where}: {spans[0][1].key if spans else 'result'}"
    found = code_points(draft.text, placed, where, draft.options.offset_unit)
    ids: dict[Any, str] = {}
    for (node, value, labels), (start, end) in zip(spans, found, strict=True):
        for label in labels:
            identifier = draft.mention(draft.char_span(start, end, value.key), label, value.key)
            ids.setdefault(_id(node), identifier)
    for node in links:
        _link(draft, node, ids)


def _labels(node: JsonObject, key: str) -> list[str]:
    """The labels under a key; none where it is absent or null."""
    labels = node.get(key) or []
    if not isinstance(labels, list):
        raise node.error(key, f"must be a list, not {kind_of(labels)}")
    return [str(label) for label in labels]


def _id(node: JsonObject) -> str | int | None:
    """What links call a region."""
    value = node.get("id")
    if not isinstance(value, str | int | None):
        raise node.error("id", f"must be a string, not {kind_of(value)}")
    return value


def _link(draft: Draft, node: JsonObject, ids: dict[Any, str]) -> None:
    ends = [node.string("from_id"), node.string("to_id")]
    for key, end in zip(("from_id", "to_id"), ends, strict=True):
        if end not in ids:
            raise node.error(key, f"no region with labels has the id {end!r}")
    head, tail = (ids[end] for end in (reversed(ends) if node.get("direction") == "left" else ends))
    for label in _labels(node, "labels") or [_UNLABELLED]:
        draft.link(label, head, tail, node.key)
