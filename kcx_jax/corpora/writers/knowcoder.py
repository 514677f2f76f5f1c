"""`knowcoder`: JSON lines `{"sentence", "entities", "relations", "events"}`, each name with its `pos` `[start, end)`.

Holds all but discontinuous spans. Mentions have no ids there: an end of a relation is a name with its type and place,
so is an event's argument, which a reader takes for a plain span. Roles within roles are spelled `Main.Sub`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kcx_jax.corpora.jsonl import write_json_lines
from kcx_jax.corpora.record import Argument, EventMention, Mention, Record
from kcx_jax.corpora.writers.fitting import Holds, Loss, fit
from kcx_jax.corpora.writers.options import WriteOptions
from kcx_jax.schema.labels import role_spelling_of


def write_knowcoder(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write the records as lines; a layer that is not annotated is a key left out."""
    return write_json_lines((_row(record, options.loss) for record in records), path, options.overwrite)


def _row(record: Record, loss: Loss) -> dict[str, Any]:
    record = fit(record, Holds(), loss)
    mentions = {mention.id: mention for mention in record.entities or ()}
    if record.relations is not None:
        loss.add(record, "entities that are not annotated beside relations", record.entities is None)
    row: dict[str, Any] = {"id": record.id, "sentence": record.text}
    if record.entities is not None:
        row["entities"] = [_named(mention) for mention in record.entities]
    if record.relations is not None:
        row["relations"] = [
            {"type": link.type, "head": _named(mentions[link.head]), "tail": _named(mentions[link.tail])}
            for link in record.relations
        ]
    if record.events is not None:
        row["events"] = [_event(event, mentions) for event in record.events]
    return row


def _named(mention: Mention) -> dict[str, Any]:
    return {"name": mention.text, "type": mention.type, "pos": [mention.start, mention.end]}


def _event(event: EventMention, mentions: dict[str, Mention]) -> dict[str, Any]:
    trigger = event.trigger
    return {
        "type": event.type,
        "trigger": trigger.text,
        "pos": [trigger.start, trigger.end],
        "arguments": [_argument(argument, mentions) for argument in event.arguments],
    }


def _argument(argument: Argument, mentions: dict[str, Mention]) -> dict[str, Any]:
    role = role_spelling_of(argument.role)
    if argument.entity is not None:
        return {"role": role, **_named(mentions[argument.entity])}
    return {"role": role, "type": "", "name": argument.text, "pos": list(argument.span())}
