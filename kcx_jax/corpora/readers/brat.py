"""`brat`: standoff annotation; a folder of `.txt` files with their `.ann`, or one such pair.

A text bound (T) that triggers an event is no entity; every other one is. Offsets are half-open, the parts of a
discontinuous span parted by ";". A numbered role (`arg2`) is a repetition of the role without the number. What
a record cannot hold is set aside and counted: events as arguments, relations on events, attributes,
equivalences, normalisations, notes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kcx_jax.corpora.lines import read_lines, read_text
from kcx_jax.corpora.readers.events import LabelledEvent, event_meta, surface_span
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Mention, Record, RelationLink, Span
from kcx_jax.errors import KcxError

SUFFIXES = (".txt", ".ann")
_OFFSETS = re.compile("[0-9]{1,9} [0-9]{1,9}(;[0-9]{1,9} [0-9]{1,9})*")
_ASIDE = {
    "A": "attributes",
    "M": "attributes",
    "N": "normalisations",
    "*": "equivalences",
    "#": "notes",
}


def read_brat(path: Path, options: Options) -> Iterator[Record]:
    """The documents of a folder by name, or the one of a pair; `KcxError` naming file and line.

    Relations and events count as annotated where any of the documents has some.
    """
    pairs = document_pairs(path)
    kinds = {line[:1] for _, annotation in pairs for _, line in read_lines(annotation)}
    for text, annotation in pairs:
        yield _Document(read_text(text), annotation).record(text, options, kinds)


def document_pairs(path: Path) -> list[tuple[Path, Path]]:
    """The (text, annotation) files at `path`, by name; `KcxError` where one is without the other."""
    folder = path if path.is_dir() else path.parent
    try:
        files = list(path.iterdir()) if path.is_dir() else [path]
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}") from error
    stems = sorted({file.stem for file in files if file.suffix in SUFFIXES})
    if not stems:
        raise KcxError(
            f"{path}: no .txt with its .ann; brat keeps a text and its annotation in two files, and no other "
            "format is read from a folder"
        )
    pairs = [(folder / f"{stem}.txt", folder / f"{stem}.ann") for stem in stems]
    for file in (file for pair in pairs for file in pair):
        if not file.is_file():
            raise KcxError(
                f"{file}: is not there; brat keeps a text and its annotation in two files (the .ann is empty "
                "where nothing is annotated)"
            )
    return pairs


@dataclass(frozen=True)
class _TextBound:
    where: str
    label: str
    span: Span


@dataclass(frozen=True)
class _Links:
    """An event or a relation: (role, id) pairs; an event's first pair is its type and its trigger."""

    where: str
    label: str
    ends: list[tuple[str, str]]

    def relation(self, options: Options) -> RelationLink:
        """The relation from the first end to the second."""
        return RelationLink(
            options.labels(self.label, self.where, "relation"), self.ends[0][1], self.ends[1][1]
        )


class _Document:
    """One text and the lines of its annotation file, by their ids."""

    def __init__(self, text: str, annotation: Path) -> None:
        self.text = text
        self.aside: Counter[str] = Counter()
        self.bounds: dict[str, _TextBound] = {}
        self.events: dict[str, _Links] = {}
        self.relations: dict[str, _Links] = {}
        for number, line in read_lines(annotation):
            if line.strip():
                self._line(line, f"{annotation}:{number}")
        self.triggers = {event.ends[0][1] for event in self.events.values()}

    def record(self, path: Path, options: Options, kinds: set[str]) -> Record:
        """The record; among `kinds`, the first letters of lines, "R" and "E" say which layers are annotated."""
        entities = {key: bound for key, bound in self.bounds.items() if key not in self.triggers}
        events = [self._event(event) for event in self.events.values()] if "E" in kinds else None
        links = [link for link in self.relations.values() if self._is_linking(link)] if "R" in kinds else None
        meta = event_meta(path.name, events, self.aside)
        meta["source_labels"] = {key: bound.label for key, bound in entities.items()}
        if links is not None:
            meta["source_relations"] = [link.label for link in links]
        return Record(
            path.stem,
            options.tag,
            self.text,
            entities=tuple(
                Mention(
                    key, options.labels(b.label, b.where), b.span.start, b.span.end, b.span.text, b.span.spans
                )
                for key, b in entities.items()
            ),
            relations=None if links is None else tuple(link.relation(options) for link in links),
            events=None if events is None else tuple(event.mention(options) for event in events),
            meta=meta,
        )

    def _line(self, line: str, where: str) -> None:
        """Take in one line: an id, a tab, what it says."""
        key, tab, rest = line.partition("\t")
        if line[0] in _ASIDE:
            self.aside[_ASIDE[line[0]]] += 1
            return
        if line[0] not in "TER" or not tab:
            raise KcxError(
                f"{where}: {line[:60]!r} is no line of brat (T, E, R, A, M, N, * or #, then a tab)"
            )
        if key in self.bounds or key in self.events or key in self.relations:
            raise KcxError(f"{where}: the id {key!r} is used twice")
        if line[0] == "T":
            self.bounds[key] = self._text_bound(rest, where)
        elif line[0] == "E":
            ends = _ends(rest.split(), where)
            if not ends:
                raise KcxError(f"{where}: an event without `type:trigger`")
            self.events[key] = _Links(where, ends[0][0], ends)
        else:
            label, *words = rest.split() or [""]
            ends = _ends(words, where)
            if len(ends) != 2:
                raise KcxError(f"{where}: a relation with {len(ends)} ends, not two")
            self.relations[key] = _Links(where, label, ends)

    def _text_bound(self, rest: str, where: str) -> _TextBound:
        head, tab, surface = rest.partition("\t")
        label, _, offsets = head.partition(" ")
        if not tab or not _OFFSETS.fullmatch(offsets):
            raise KcxError(f"{where}: expected `id TAB type start end TAB text`, got {rest[:60]!r}")
        pairs = [part.split(" ") for part in offsets.split(";")]
        parts = tuple((int(start), int(end)) for start, end in pairs)
        return _TextBound(where, label, surface_span(self.text, parts, surface, where))

    def _event(self, event: _Links) -> LabelledEvent:
        """The event; an argument that is a trigger is a plain span, one that is an event is set aside."""
        (label, trigger), *arguments = event.ends
        if trigger not in self.bounds:
            raise KcxError(f"{event.where}: no line has the trigger {trigger!r}")
        fillers: list[tuple[str, Span | str]] = []
        for role, key in arguments:
            self._check(key, event.where)
            if key in self.events:
                self.aside["events as arguments"] += 1
            else:
                name = role.rstrip("0123456789") or role
                fillers.append((name, self.bounds[key].span if key in self.triggers else key))
        return LabelledEvent(event.where, label, self.bounds[trigger].span, tuple(fillers))

    def _is_linking(self, relation: _Links) -> bool:
        """Whether both ends are entities; one on an event or its trigger is set aside."""
        keys = [key for _, key in relation.ends]
        for key in keys:
            self._check(key, relation.where)
        if all(key in self.bounds and key not in self.triggers for key in keys):
            return True
        self.aside["relations on events"] += 1
        return False

    def _check(self, key: str, where: str) -> None:
        if key not in self.bounds and key not in self.events:
            raise KcxError(f"{where}: no text bound or event has the id {key!r}")


def _ends(words: list[str], where: str) -> list[tuple[str, str]]:
    """The (role, id) pairs of `role:id` words."""
    pairs = [word.rpartition(":") for word in words]
    for word, (role, _, key) in zip(words, pairs, strict=True):
        if not role or not key:
            raise KcxError(f"{where}: expected `role:id`, got {word[:60]!r}")
    return [(role, key) for role, _, key in pairs]
