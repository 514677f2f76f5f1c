"""`iepile`: the plain samples of IEPile, JSON lines `{"text", "entity": [...], "relation": [...], "event": [...]}`.

Names without offsets: a reader lines them up with the text again, and what it would find elsewhere is counted. No
discontinuous spans; an event's arguments have no types and roles within roles are spelled `Main.Sub`. A layer that is
not annotated is a key left out.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kcx_jax.corpora.jsonl import write_json_lines
from kcx_jax.corpora.record import Argument, Record
from kcx_jax.corpora.writers.fitting import Holds, Loss, fit
from kcx_jax.corpora.writers.options import WriteOptions
from kcx_jax.corpora.writers.unplaced import note_places
from kcx_jax.schema.labels import role_spelling_of


def write_iepile(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write the records as lines."""
    return write_json_lines((_row(record, options.loss) for record in records), path, options.overwrite)


def _row(record: Record, loss: Loss) -> dict[str, Any]:
    record = fit(record, Holds(), loss)
    mentions = {mention.id: mention for mention in record.entities or ()}

    def filler(argument: Argument) -> str | None:
        return argument.text if argument.entity is None else mentions[argument.entity].text

    row: dict[str, Any] = {"id": record.id, "text": record.text}
    if record.entities is not None:
        row["entity"] = [{"entity": m.text, "entity_type": m.type} for m in record.entities]
    if record.relations is not None:
        row["relation"] = [
            {
                "head": mentions[link.head].text,
                "head_type": mentions[link.head].type,
                "relation": link.type,
                "tail": mentions[link.tail].text,
                "tail_type": mentions[link.tail].type,
            }
            for link in record.relations
        ]
    if record.events is not None:
        row["event"] = [
            {
                "event_trigger": event.trigger.text,
                "event_type": event.type,
                "arguments": [
                    {"argument": filler(a), "role": role_spelling_of(a.role)} for a in event.arguments
                ],
            }
            for event in record.events
        ]
    note_places(record, row, loss)
    return row
