"""`scierc`: SciERC and the DyGIE form, `{"doc_key", "sentences": [tokens], "ner", "relations", "clusters", "events"}`.

A record is a document, its sentences joined. `ner`, `relations` and `events` are lists of one list a sentence; indices
count tokens of the document and include the end: `[first, last, type]`, `[head first, head last, tail first, tail
last, type]`, an event `[[trigger, type], [first, last, role], ...]` (the trigger one token, or first and last).
`clusters` (coreference) stay in `meta.clusters` as character spans; some of them are no entities. The ends of a
relation must be entities; an argument that stands where an entity does is that entity. A key absent = not annotated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.events import LabelledEvent
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, sentence_tokens
from kcx_jax.corpora.record import Record, Span

_LAYERS = ("ner", "relations", "events")
_FORMS = {
    "ner": ((int, int, str), "[first token, last token, type]"),
    "relations": ((int, int, int, int, str), "[head first, head last, tail first, tail last, type]"),
}
_ARGUMENT = "[first token, last token, role]"


def read_scierc(path: Path, options: Options) -> Iterator[Record]:
    """The documents of a SciERC file; `KcxError` naming the key for what cannot be lined up."""
    for where, value in read_json_items(path):
        row = JsonObject(value, where)
        tokens, starts = sentence_tokens(row.get("sentences"), f"{where}: sentences")
        draft = Draft.of_tokens(path, where, tokens, options)
        ids = _mentions(row, draft)
        for key, item in _items(row, "relations"):
            *ends, label = fields(item, _FORMS["relations"][0], f"{where}: {key}", _FORMS["relations"][1])[:5]
            head, tail = (_entity(draft, (ends[i], ends[i + 1]), ids, key) for i in (0, 2))
            draft.link(label, head, tail, key)
        draft.events = [_event(draft, item, ids, key) for key, item in _items(row, "events")]
        meta: dict[str, Any] = {"sentences": starts}
        if "clusters" in row.value:
            meta["clusters"] = _clusters(row, draft)
        layers = {name: name in row.value for name in _LAYERS}
        yield draft.record(
            row.string("doc_key"),
            entities=layers["ner"],
            relations=layers["relations"],
            events=layers["events"],
            **meta,
        )


def _items(row: JsonObject, layer: str) -> Iterator[tuple[str, Any]]:
    """The items of a layer over all sentences, each with its key."""
    for i, sentence in enumerate(array(row.get(layer, []), f"{row.where}: {layer}")):
        for j, item in enumerate(array(sentence, f"{row.where}: {layer}[{i}]")):
            yield f"{layer}[{i}][{j}]", item


def _mentions(row: JsonObject, draft: Draft) -> dict[tuple[int, int], str]:
    """Add the entities; the id of the first one on each span."""
    ids: dict[tuple[int, int], str] = {}
    for key, item in _items(row, "ner"):
        first, last, label = fields(item, _FORMS["ner"][0], f"{row.where}: {key}", _FORMS["ner"][1])[:3]
        ids.setdefault((first, last), draft.mention(draft.token_span(first, last + 1, key), label, key))
    return ids


def _entity(draft: Draft, span: tuple[int, int], ids: dict[tuple[int, int], str], key: str) -> str:
    if span not in ids:
        raise draft.error(key, f"no item of ner stands at the tokens {list(span)}")
    return ids[span]


def _event(draft: Draft, item: Any, ids: dict[tuple[int, int], str], key: str) -> LabelledEvent:
    where = f"{draft.where}: {key}"
    trigger, *arguments = array(item, where) or [None]
    if isinstance(trigger, list) and len(trigger) == 2:
        trigger = [trigger[0], *trigger]
    first, last, label = fields(trigger, (int, int, str), f"{where}[0]", "[trigger token, type]")[:3]
    filled: list[tuple[str, Span | str]] = []
    for i, argument in enumerate(arguments, 1):
        start, end, role = fields(argument, (int, int, str), f"{where}[{i}]", _ARGUMENT)[:3]
        filler = ids.get((start, end)) or draft.token_span(start, end + 1, f"{key}[{i}]")
        filled.append((role, filler))
    return LabelledEvent(where, label, draft.token_span(first, last + 1, key), tuple(filled))


def _clusters(row: JsonObject, draft: Draft) -> list[list[list[int]]]:
    """The coreference clusters as [start, end) of the text."""
    clusters = []
    for key, cluster in (
        (f"clusters[{i}]", c) for i, c in enumerate(array(row.get("clusters"), f"{row.where}: clusters"))
    ):
        spans = []
        for item in array(cluster, f"{row.where}: {key}"):
            first, last = fields(item, (int, int), f"{row.where}: {key}", "[first token, last token]")[:2]
            span = draft.token_span(first, last + 1, key)
            spans.append([span.start, span.end])
        clusters.append(spans)
    return clusters
