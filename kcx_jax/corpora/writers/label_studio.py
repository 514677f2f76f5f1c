"""`label-studio`: tasks to import, `{"data": {"text"}, "annotations": [{"result": [...]}]}`.

Holds mentions and their relations; no discontinuous ones, no events. The labelling interface needs `<Text name="text"
value="$text"/>` and `<Labels name="label" toName="text">`. A record whose entities are not annotated is a task without
annotations.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kcx_jax.corpora.record import Record
from kcx_jax.corpora.writers.fitting import Holds, Loss, fit
from kcx_jax.corpora.writers.json_array import write_json_array
from kcx_jax.corpora.writers.options import WriteOptions

_HOLDS = Holds(events=False)


def write_label_studio(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write the records as an array of tasks."""
    return write_json_array((_task(record, options.loss) for record in records), path, options.overwrite)


def _task(record: Record, loss: Loss) -> dict[str, Any]:
    record = fit(record, _HOLDS, loss)
    data = {"id": record.id, "language": record.language, "text": record.text}
    result: list[dict[str, Any]] = [
        {
            "id": mention.id,
            "type": "labels",
            "from_name": "label",
            "to_name": "text",
            "value": {
                "start": mention.start,
                "end": mention.end,
                "text": mention.text,
                "labels": [mention.type],
            },
        }
        for mention in record.entities or ()
    ]
    result += [
        {
            "type": "relation",
            "from_id": link.head,
            "to_id": link.tail,
            "direction": "right",
            "labels": [link.type],
        }
        for link in record.relations or ()
    ]
    return {"data": data, "annotations": [] if record.entities is None else [{"result": result}]}
