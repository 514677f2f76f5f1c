"""`tacred`: TACRED and its kin, `{"id", "token", "relation", "subj_start", "subj_end", "subj_type", "obj_..."}`.

Ends are included. The subject is the head. `meta.pair` always holds the pair and its label; `no_relation` is no
relation. Parts of speech, parses and entity tags of single tokens are not read.
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


def read_tacred(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a TACRED file; `KcxError` naming the key for what has not its form."""
    for index, (where, value) in enumerate(read_json_items(path)):
        node = JsonObject(value, where)
        draft = Draft.of_tokens(path, where, token_list(node.get("token"), f"{where}: token"), options)
        ids = []
        for side in ("subj", "obj"):
            key = f"{side}_start"
            span = draft.token_span(node.integer(key), node.integer(f"{side}_end") + 1, key)
            ids.append(draft.mention(span, node.string(f"{side}_type"), f"{side}_type"))
        meta: dict[str, Any] = {"source_id": node.string("id")} if "id" in node.value else {}
        pair = draft.pair(node.string("relation"), ids)
        yield draft.record(record_id(path, index), pair=pair, **meta)
