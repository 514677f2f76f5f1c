"""`duee`: DuEE 1.0 `{"text", "event_list": [{"event_type", "trigger", "trigger_start_index", "arguments"}]}`, DuEE-fin.

Offsets count code points. An argument is `{"role", "argument", "argument_start_index", "alias"}`; its aliases stay in
`meta.aliases`. DuEE-fin has no offsets: there the trigger stands where its arguments are nearest, and each argument
nearest to the trigger (see `surfaces`); `meta.ambiguous` lists what was a choice as [event] or [event, argument], and
what is not in the text is set aside, counted and kept in `meta.unplaced`: an argument alone, an event with its
trigger. `event_list` absent = not annotated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.placed_events import PlacedEvents
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record


def read_duee(path: Path, options: Options) -> Iterator[Record]:
    """The texts of a DuEE file; `KcxError` naming the key for a span that is not where it says."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft(path, where, row.string("text", empty=True), options)
        events = PlacedEvents(draft)
        row.items("event_list", events.add)
        meta: dict[str, Any] = {key: row.get(key) for key in ("title",) if key in row.value}
        if isinstance(row.get("id"), str):
            meta["source_id"] = row.get("id")
        if events.aliases:
            meta["aliases"] = events.aliases
        if events.ambiguous:
            meta["ambiguous"] = events.ambiguous
        yield draft.record(
            record_id(path, index), entities=False, relations=False, events="event_list" in row.value, **meta
        )
