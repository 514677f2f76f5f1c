"""`ace_json`: `words` with `golden-entity-mentions` and `golden-event-mentions`: CrudeOilNews, ACE 2005 as JSON.

    {"words": [tokens], "golden-entity-mentions": [{"text", "start", "end", "entity-type"}],
     "golden-event-mentions": [{"event_type", "trigger": {"text", "start", "end"},
                                "arguments": [{"role", "text", "start", "end", "entity-type"}]}]}

Offsets count words and exclude the end. The text is the words joined; `sentence` spells some of them in another way.
What is not, but for white space, the words at its offsets (CrudeOilNews has [0, 0) too) is set aside and counted. An
argument that stands where an entity of its type does is that entity. Heads, polarity, modality and parses are not read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.events import LabelledEvent
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, token_list
from kcx_jax.corpora.record import Record, Span

ENTITIES, EVENTS = "golden-entity-mentions", "golden-event-mentions"


def read_ace_json(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a file; `KcxError` naming the key for words that are not there."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft.of_tokens(path, where, token_list(row.get("words"), f"{where}: words"), options)
        ids: dict[tuple[Span, str], str] = {}
        for node in row.items(ENTITIES, lambda item: item) or ():
            span = _span(draft, node, "entities")
            if span is not None:
                label = node.string("entity-type")
                ids.setdefault((span, label), draft.mention(span, label, node.key))
        for node in row.items(EVENTS, lambda item: item) or ():
            _event(draft, node, ids)
        meta: dict[str, Any] = {"source_id": row.string("sentence_id")} if "sentence_id" in row.value else {}
        yield draft.record(
            record_id(path, index),
            entities=ENTITIES in row.value,
            relations=False,
            events=EVENTS in row.value,
            **meta,
        )


def _span(draft: Draft, node: JsonObject, kind: str) -> Span | None:
    """The span at a node's offsets; None where its words are not the node's text, which is set aside."""
    start, end, text = node.integer("start"), node.integer("end"), node.string("text")
    if not start == end == 0:
        span = draft.token_span(start, end, node.key)
        if "".join(text.split()) == "".join(span.text.split()):
            return span
    draft.set_aside(f"{kind} whose words are not their text", dict(node.value))
    return None


def _event(draft: Draft, node: JsonObject, ids: dict[tuple[Span, str], str]) -> None:
    trigger = JsonObject(node.get("trigger"), node.where, f"{node.key}.trigger")
    place = _span(draft, trigger, "triggers")
    if place is None:
        return
    filled: list[tuple[str, Span | str]] = []
    for argument in node.items("arguments", lambda item: item) or ():
        span = _span(draft, argument, "arguments")
        if span is not None:
            label = str(argument.get("entity-type"))
            filled.append((argument.string("role"), ids.get((span, label), span)))
    where = f"{node.where}: {node.key}"
    draft.events.append(LabelledEvent(where, node.string("event_type"), place, tuple(filled)))
