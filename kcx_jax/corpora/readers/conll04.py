"""`conll04`: CoNLL04, SciERC and ADE as SpERT has them, `{"tokens", "entities": [...], "relations": [...]}`.

An entity is `{"type", "start", "end"}` in tokens, end excluded; a relation `{"type", "head", "tail"}` names entities by
their number in the list, which is also their id in the record (`e0`, `e1`, ...).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, token_list
from kcx_jax.corpora.record import Record


def read_conll04(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a file in SpERT's form; `KcxError` naming the key for what cannot be lined up."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft.of_tokens(path, where, token_list(row.get("tokens"), f"{where}: tokens"), options)
        for node in row.items("entities", lambda node: node) or ():
            span = draft.token_span(node.integer("start"), node.integer("end"), node.key)
            draft.mention(span, node.string("type"), node.key)
        for node in row.items("relations", lambda node: node) or ():
            head, tail = (_entity(node, side, draft) for side in ("head", "tail"))
            draft.link(node.string("type"), head, tail, node.key)
        meta: dict[str, Any] = {"source_id": row.get("orig_id")} if "orig_id" in row.value else {}
        layers = {layer: layer in row.value for layer in ("entities", "relations")}
        yield draft.record(
            record_id(path, index), entities=layers["entities"], relations=layers["relations"], **meta
        )


def _entity(node: JsonObject, side: str, draft: Draft) -> str:
    number = node.integer(side)
    if not 0 <= number < len(draft.mentions):
        raise node.error(side, f"{number} is none of {len(draft.mentions)} entities")
    return f"e{number}"
