"""`gliner`: an array of `{"tokenized_text": tokens, "ner": [[first, last, label]]}`, ends included.

Holds mentions that are made of whole tokens, nested too; no discontinuous ones, no relations, no events. `text` stands
beside the tokens, so that white space is not lost.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kcx_jax.corpora.record import Record
from kcx_jax.corpora.writers.fitting import Holds, Loss, fit
from kcx_jax.corpora.writers.json_array import write_json_array
from kcx_jax.corpora.writers.options import WriteOptions
from kcx_jax.corpora.writers.tokens import record_tokens, token_indices

_HOLDS = Holds(relations=False, events=False)


def write_gliner(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write the records as an array of tokenised texts."""
    return write_json_array((_item(record, options.loss) for record in records), path, options.overwrite)


def _item(record: Record, loss: Loss) -> dict[str, Any]:
    places = record_tokens(record)
    fitted = fit(record, _HOLDS, loss, lambda mention: token_indices(mention, places) is not None)
    if record.entities is None:
        loss.add(record, "records whose entities are not annotated")
    ner = []
    for mention in fitted.entities or ():
        first, end = token_indices(mention, places) or (0, 0)
        ner.append([first, end - 1, mention.type])
    tokens = [record.text[start:end] for start, end in places]
    return {"id": record.id, "text": record.text, "tokenized_text": tokens, "ner": ner}
