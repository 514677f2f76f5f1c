"""What the readers of relation corpora share: a record in the making, with the corpus's own labels beside it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_object import array
from kcx_jax.corpora.readers.columns import join_tokens
from kcx_jax.corpora.readers.events import LabelledEvent
from kcx_jax.corpora.readers.offset_units import converter
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Mention, Record, RelationLink, Span, make_span, text_order
from kcx_jax.errors import KcxError

# The class of a mention whose corpus gives it no type: the base of all entity classes.
UNTYPED = "Entity"
# How corpora say of a pair that no relation holds; the pair stays in `meta`.
NO_RELATION = frozenset({"Other", "no_relation", "no relation", "NA"})


class Draft:
    """The record of one text while its reader puts it together. `where` (file and line) opens every message."""

    def __init__(
        self,
        path: Path,
        where: str,
        text: str,
        options: Options,
        offsets: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.path, self.where, self.text, self.options, self.offsets = path, where, text, options, offsets
        self.mentions: dict[str, Mention] = {}
        self.links: list[RelationLink] = []
        self.events: list[LabelledEvent] = []
        self.source_relations: list[str] = []
        self._labels: dict[str, str] = {}
        self._ids: dict[tuple[Span, str | None], str] = {}
        self._unplaced: dict[str, list[Any]] = {}

    @classmethod
    def of_tokens(cls, path: Path, where: str, tokens: Sequence[str], options: Options) -> "Draft":
        """A draft over the tokens, joined."""
        text, offsets = join_tokens(tokens, options.between_tokens)
        return cls(path, where, text, options, offsets)

    def token_span(self, first: int, end: int, key: str) -> Span:
        """The span from token `first` to before token `end`; `KcxError` naming `key` if there is none."""
        offsets = self.offsets or ()
        if not 0 <= first < end <= len(offsets):
            raise self.error(key, f"[{first}, {end}) is no span of {len(offsets)} tokens (end excluded)")
        return self.char_span(offsets[first][0], offsets[end - 1][1], key)

    def char_span(self, start: int, end: int, key: str) -> Span:
        """The span between two offsets into the text; `KcxError` naming `key` if there is none."""
        if not 0 <= start < end <= len(self.text):
            raise self.error(key, f"[{start}, {end}) is no span of a text of {len(self.text)} characters")
        return make_span(self.text, start, end)

    def file_span(self, start: int, end: int, key: str) -> Span:
        """The span between two offsets of the file, in the unit it was said to count; `KcxError` if there is none."""
        first, last = self._place(start), self._place(end)
        if not 0 <= first < last:
            raise self.error(
                key,
                f"[{start}, {end}) is no span of a text of {len(self.text)} characters (offsets in {self._unit})",
            )
        return make_span(self.text, first, last)

    @property
    def _unit(self) -> str:
        return self.options.offset_unit or "code-points"

    @cached_property
    def _place(self) -> Callable[[int], int]:
        """From offsets of the file to those of the text: a table that is made once a text, not once a span."""
        return converter(self.text, self._unit)

    def mention(self, span: Span, label: str | None, key: str, identifier: str | None = None) -> str:
        """Add a mention (`label` None: the corpus gives it no type) and return its id."""
        identifier = identifier or f"e{len(self.mentions)}"
        name = UNTYPED
        if label is not None:
            name = self.options.labels(label, f"{self.where}: {key}")
            self._labels[identifier] = label
        self.mentions[identifier] = Mention(identifier, name, span.start, span.end, span.text, span.spans)
        self._ids.setdefault((span, label), identifier)
        return identifier

    def mention_once(self, span: Span, label: str | None, key: str) -> str:
        """The id of the mention on this span with this label, which is added unless it is there."""
        return self._ids.get((span, label)) or self.mention(span, label, key)

    def link(self, label: str, head: str, tail: str, key: str, source: str | None = None) -> None:
        """Add a relation between two mentions; `source`: the label as the corpus writes it, if that says more."""
        name = self.options.labels(label, f"{self.where}: {key}", "relation")
        self.links.append(RelationLink(name, head, tail))
        self.source_relations.append(source or label)

    def pair(self, label: str | None, ids: Sequence[str]) -> dict[str, Any]:
        """Link the one pair of a sentence, unless its label says that no relation holds or is not given (None).

        Returns what `meta["pair"]` holds: the pair and the label as it stands.
        """
        if label is None:
            return {"mentions": list(ids)}
        if label not in NO_RELATION:
            self.link(label, ids[0], ids[1], "relation")
        return {"mentions": list(ids), "label": label}

    def set_aside(self, kind: str, item: Any) -> None:
        """Count something of the file that the record does not hold, and keep it in `meta`."""
        self._unplaced.setdefault(kind, []).append(item)

    def error(self, key: str, problem: str) -> KcxError:
        """A complaint about this text, to be raised."""
        return KcxError(f"{self.where}: {key}: {problem}")

    def record(
        self,
        identifier: str,
        *,
        entities: bool = True,
        relations: bool = True,
        events: bool = False,
        **meta: Any,
    ) -> Record:
        """The record, with the layers that are annotated and these keys in its `meta`."""
        out: dict[str, Any] = {"source": self.path.name}
        if self.offsets is not None:
            out["source_tokens"] = [list(span) for span in self.offsets]
        if entities:
            out["source_labels"] = self._labels
        if relations:
            out["source_relations"] = self.source_relations
        if events:
            out["source_events"] = [event.source() for event in self.events]
        if self._unplaced:
            out["set_aside"] = {kind: len(items) for kind, items in self._unplaced.items()}
            out["unplaced"] = self._unplaced
        return Record(
            identifier,
            self.options.tag,
            self.text,
            entities=tuple(sorted(self.mentions.values(), key=text_order)) if entities else None,
            relations=tuple(self.links) if relations else None,
            events=tuple(event.mention(self.options) for event in self.events) if events else None,
            meta=out | meta,
        )


def token_list(value: Any, where: str) -> list[str]:
    """The tokens that `value` lists; `KcxError` opening with `where` for anything but strings."""
    tokens = array(value, where)
    if not all(isinstance(token, str) for token in tokens):
        raise KcxError(f"{where}: must be a list of strings")
    return tokens


def sentence_tokens(value: Any, where: str) -> tuple[list[str], list[int]]:
    """The tokens of all sentences in a row, and where each sentence starts among them, the end of the last one too."""
    tokens: list[str] = []
    starts = [0]
    for i, sentence in enumerate(array(value, where)):
        tokens += token_list(sentence, f"{where}[{i}]")
        starts.append(len(tokens))
    return tokens, starts
