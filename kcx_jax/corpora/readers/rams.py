"""`rams`: RAMS, `{"doc_key", "sentences": [tokens], "evt_triggers", "gold_evt_links"}`.

A record is a document, its sentences joined. Indices count its tokens and include the end. A trigger is `[first, last,
[[type, confidence], ...]]`, an event a type; a link `[trigger span, argument span, "evt089arg01role"]` gives each event
of its trigger an argument. `ent_spans` repeat the links and are not read.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.events import LabelledEvent
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, sentence_tokens
from kcx_jax.corpora.record import Record, Span

_ROLE = re.compile(r"(?:evt\d+arg\d+)?(.+)")
_TRIGGER = "[first token, last token, [[type, confidence], ...]]"
_LINK = "[[first, last] of the trigger, [first, last] of the argument, role]"


def read_rams(path: Path, options: Options) -> Iterator[Record]:
    """The documents of a RAMS file; `KcxError` naming the key for what cannot be lined up."""
    for where, value in read_json_items(path):
        row = JsonObject(value, where)
        tokens, starts = sentence_tokens(row.get("sentences"), f"{where}: sentences")
        draft = Draft.of_tokens(path, where, tokens, options)
        links = _links(row, draft)
        for i, item in enumerate(array(row.get("evt_triggers"), f"{where}: evt_triggers")):
            draft.events += _events(draft, item, f"evt_triggers[{i}]", links)
        placed = {(event.trigger.start, event.trigger.end) for event in draft.events}
        if not links.keys() <= placed:
            raise row.error("gold_evt_links", "one of them starts at no trigger of evt_triggers")
        yield draft.record(
            row.string("doc_key"), entities=False, relations=False, events=True, sentences=starts
        )


def _links(row: JsonObject, draft: Draft) -> dict[tuple[int, int], list[tuple[str, Span | str]]]:
    """The (role, span) of the arguments, by the place of their trigger in the text."""
    found: dict[tuple[int, int], list[tuple[str, Span | str]]] = {}
    for i, item in enumerate(array(row.get("gold_evt_links"), f"{row.where}: gold_evt_links")):
        key = f"gold_evt_links[{i}]"
        *ends, label = fields(item, (list, list, str), f"{row.where}: {key}", _LINK)[:3]
        trigger, argument = (_span(draft, end, key) for end in ends)
        role = _ROLE.fullmatch(label)
        if not role:
            raise draft.error(key, f"{label[:60]!r} is no role")
        found.setdefault((trigger.start, trigger.end), []).append((role[1], argument))
    return found


def _events(draft: Draft, item: Any, key: str, links: dict[tuple[int, int], Any]) -> Iterator[LabelledEvent]:
    where = f"{draft.where}: {key}"
    first, last, types = fields(item, (int, int, list), where, _TRIGGER)[:3]
    trigger = draft.token_span(first, last + 1, key)
    for kind in types:
        (label,) = fields(kind, (str,), where, _TRIGGER)[:1]
        yield LabelledEvent(where, label, trigger, tuple(links.get((trigger.start, trigger.end), ())))


def _span(draft: Draft, value: list[Any], key: str) -> Span:
    first, last = fields(value, (int, int), f"{draft.where}: {key}", _LINK)[:2]
    return draft.token_span(first, last + 1, key)
