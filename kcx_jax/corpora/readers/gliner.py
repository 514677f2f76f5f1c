"""`gliner`: GLiNER's training data, `{"tokenized_text": [tokens], "ner": [[first, last, label], ...]}`.

Token indices include the last one. The text is the tokens joined.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, token_list
from kcx_jax.corpora.record import Record


def read_gliner(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a file; `KcxError` naming the key for tokens that are not there."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        tokens = token_list(row.get("tokenized_text"), f"{where}: tokenized_text")
        draft = Draft.of_tokens(path, where, tokens, options)
        for i, item in enumerate(array(row.get("ner"), f"{where}: ner")):
            key = f"ner[{i}]"
            first, last, label = fields(item, (int, int, str), f"{where}: {key}", "[first, last, label]")[:3]
            draft.mention(draft.token_span(first, last + 1, key), label, key)
        yield draft.record(record_id(path, index), relations=False)
