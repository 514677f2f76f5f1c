"""`triple_list`: `{"text", "triple_list": [[subject, relation, object], ...]}`, as CasRel has NYT and WebNLG.

Surfaces come without offsets and without types: they are lined up with the text as in `duie` (`meta.ambiguous`,
`meta.items`, `meta.unplaced`), and their class is `Entity`. `triple_list` absent = not annotated.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.triples import Triples
from kcx_jax.corpora.record import Record


def read_triple_list(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a file of triples; `KcxError` naming the key for what has not its form."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft(path, where, row.string("text", empty=True), options)
        triples, annotated = Triples(draft), "triple_list" in row.value
        for i, item in enumerate(array(row.get("triple_list", []), f"{where}: triple_list")):
            key = f"triple_list[{i}]"
            head, label, tail = fields(
                item, (str, str, str), f"{where}: {key}", "[subject, relation, object]"
            )[:3]
            triples.add(i, label, (None, None), (head, tail), key)
        meta = triples.meta() if annotated else {}
        yield draft.record(record_id(path, index), entities=annotated, relations=annotated, **meta)
