"""`oneie`: JSON lines with `tokens`, `entity_mentions`, `relation_mentions` and `event_mentions`.

Offsets count tokens and exclude the end. `sentence`, or `text` in a document of WikiEvents, holds the text as it was
written; where both are absent the text is the tokens joined. Corpora such as GENEVA give entity mentions no type:
there they are candidates only, so arguments are plain spans, and candidates that fill no role are counted as set
aside. Sub-words, subtypes and other layers are not read.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import align_tokens, join_tokens
from kcx_jax.corpora.readers.events import LabelledEvent, event_meta
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Mention, Record, RelationLink, Span, make_span
from kcx_jax.errors import KcxError


def read_oneie(path: Path, options: Options) -> Iterator[Record]:
    """The windows of a OneIE file; `KcxError` naming the key for what cannot be lined up."""
    typed = any(_has_types(value) for _, value in read_json_items(path))
    for where, value in read_json_items(path):
        yield _Window(JsonObject(value, where), options, typed).record(path)


class _Window:
    """One line: its tokens, where they stand in the text, and its entity mentions by id."""

    def __init__(self, row: JsonObject, options: Options, typed: bool) -> None:
        self.row, self.options, self.typed = row, options, typed
        self.tokens = _tokens(row)
        written = next((key for key in ("sentence", "text") if key in row.value), None)
        if written:
            self.text = row.string(written, empty=True)
            places = [f"{row.where}: tokens[{i}]" for i in range(len(self.tokens))]
            self.offsets = align_tokens(self.text, self.tokens, places)
        else:
            self.text, self.offsets = join_tokens(self.tokens, options.between_tokens)
        self.spans: dict[str, Span] = {}
        self.labels: dict[str, str] = {}
        row.items("entity_mentions", self._entity)

    def record(self, path: Path) -> Record:
        row = self.row
        key = next((key for key in ("wnd_id", "sent_id", "doc_id") if key in row.value), "sent_id")
        events = row.items("event_mentions", self._event)
        if events is None:
            raise row.error("event_mentions", "is missing (an empty list where there are none)")
        links = row.items("relation_mentions", self._relation)
        aside: Counter[str] = Counter()
        if not self.typed:
            fillers = {filler for event in events for _, filler in event.arguments}
            aside.update(["untyped entity mentions"] * sum(s not in fillers for s in self.spans.values()))
        meta = event_meta(path.name, events, aside)
        meta["source_tokens"] = [list(span) for span in self.offsets]
        if self.typed:
            meta["source_labels"] = self.labels
        if links is not None:
            meta["source_relations"] = [label for label, _ in links]
        return Record(
            row.string(key),
            self.options.tag,
            self.text,
            entities=tuple(self._mention(key) for key in self.spans) if self.typed else None,
            relations=None if links is None else tuple(link for _, link in links),
            events=tuple(event.mention(self.options.labels, self.options) for event in events),
            meta=meta,
        )

    def _entity(self, node: JsonObject) -> None:
        key = node.string("id")
        if key in self.spans:
            raise node.error("id", f"{key!r} is used twice in this window")
        self.spans[key] = self._span(node)
        if self.typed:
            self.labels[key] = node.string("entity_type")

    def _mention(self, key: str) -> Mention:
        span = self.spans[key]
        name = self.options.labels(self.labels[key], self.row.where)
        return Mention(key, name, span.start, span.end, span.text)

    def _event(self, node: JsonObject) -> LabelledEvent:
        trigger = JsonObject(node.get("trigger"), node.where, f"{node.key}.trigger")
        arguments = node.items("arguments", self._argument) or ()
        where = f"{node.where}: {node.key}"
        return LabelledEvent(where, node.string("event_type"), self._span(trigger), arguments)

    def _argument(self, node: JsonObject) -> tuple[str, Span | str]:
        key = self._reference(node)
        return node.string("role"), key if self.typed else self.spans[key]

    def _relation(self, node: JsonObject) -> tuple[str, RelationLink]:
        """The label of a relation mention, and its link from `Arg-1` to `Arg-2`."""
        if not self.typed:
            raise KcxError(f"{node.where}: {node.key}: links entity mentions, but none has an `entity_type`")
        ends = node.items("arguments", lambda end: (end.string("role"), self._reference(end))) or ()
        if sorted(role for role, _ in ends) != ["Arg-1", "Arg-2"]:
            raise node.error("arguments", "must be one `Arg-1` and one `Arg-2`")
        label, by_role = node.string("relation_type"), dict(ends)
        name = self.options.labels(label, f"{node.where}: {node.key}")
        return label, RelationLink(name, by_role["Arg-1"], by_role["Arg-2"])

    def _reference(self, node: JsonObject) -> str:
        key = node.string("entity_id")
        if key not in self.spans:
            raise node.error("entity_id", f"no entity mention has the id {key!r}")
        return key

    def _span(self, node: JsonObject) -> Span:
        """The span between two token offsets, whose surface must be the text there or its tokens."""
        first, last, surface = node.integer("start"), node.integer("end"), node.string("text")
        if not 0 <= first < last <= len(self.tokens):
            raise node.error("start", f"[{first}, {last}) is no span of {len(self.tokens)} tokens")
        span = make_span(self.text, self.offsets[first][0], self.offsets[last - 1][1])
        if surface not in (span.text, " ".join(self.tokens[first:last])):
            raise node.error("text", f"is {surface[:60]!r}, but the tokens are {span.text[:60]!r}")
        return span


def _has_types(value: object) -> bool:
    mentions = value.get("entity_mentions") if isinstance(value, dict) else None
    return isinstance(mentions, list) and any(isinstance(m, dict) and "entity_type" in m for m in mentions)


def _tokens(row: JsonObject) -> list[str]:
    tokens = row.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
        raise row.error("tokens", "must be a list of strings, none of them empty")
    return tokens
