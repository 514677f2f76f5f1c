"""`prodigy`: Prodigy's JSON lines, `{"text", "spans": [{"start", "end", "label"}], "tokens", "relations", "answer"}`.

Offsets are half-open code points, unless another unit is named. A relation links two spans (`head_span`,
`child_span`), which become entities where they are none yet. An accepted task without spans (or relations) has none,
if any other task of the file has some. A task that was rejected or ignored keeps its text and is not annotated; it is
set aside and counted.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record

_KEPT = ("text", "spans", "tokens", "relations")


def read_prodigy(path: Path, options: Options) -> Iterator[Record]:
    """The tasks of a file; `KcxError` naming the key for what does not lie in its text."""
    keys = {key for _, value in read_json_items(path) if isinstance(value, dict) for key in value}
    related = "relations" in keys
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft(path, where, row.string("text", empty=True), options)
        accepted = row.get("answer", "accept") == "accept"
        if accepted:
            for node in row.items("spans", lambda item: item) or ():
                _span(draft, node)
            for node in row.items("relations", lambda item: item) or ():
                ends = (
                    JsonObject(node.get(key), where, f"{node.key}.{key}")
                    for key in ("head_span", "child_span")
                )
                head, tail = (_span(draft, end) for end in ends)
                draft.link(node.string("label"), head, tail, node.key)
        else:
            draft.set_aside(
                f"tasks answered {row.get('answer')}", {k: row.get(k) for k in _KEPT if k in row.value}
            )
        annotated = accepted and ("spans" in keys or related)
        yield draft.record(record_id(path, index), entities=annotated, relations=accepted and related)


def _span(draft: Draft, node: JsonObject) -> str:
    """The entity at a span, added unless it is there."""
    label = node.string("label") if node.get("label") is not None else None
    span = draft.file_span(node.integer("start"), node.integer("end"), node.key)
    return draft.mention_once(span, label, node.key)
