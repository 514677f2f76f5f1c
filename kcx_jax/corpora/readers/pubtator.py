"""`pubtator`: blocks of `id|t|title`, `id|a|abstract`, mentions and relations between concepts (BC5CDR, BioRED, NCBI).

    7|t|A title
    7|a|An abstract.
    7 TAB 2 TAB 7 TAB title TAB Type TAB D0001|D0002 TAB parts of a composite mention
    7 TAB CID TAB D0001 TAB D0003

The text is the title, one space and the abstract; offsets count its code points, and each surface must stand where its
line says. A relation holds between concepts; in the record it links their first mentions. `meta.concepts` gives the
concepts of each mention (so its clusters), `meta.composites` the parts of composite ones, `meta.relation_notes` what
follows a relation on its line. A relation on a concept without a mention is set aside, counted and kept in
`meta.unplaced`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.readers.columns import Row, read_blocks
from kcx_jax.corpora.readers.events import surface_span
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record, text_order
from kcx_jax.errors import KcxError

TITLE = re.compile(r"([^|\t]+)\|t\|(.*)")
_ABSTRACT = re.compile(r"([^|\t]+)\|a\|(.*)")
_NUMBER = re.compile(r"[0-9]{1,9}")
_CONCEPTS = re.compile(r"[|,+;]")
_NO_CONCEPT = frozenset({"", "-", "-1"})


def read_pubtator(path: Path, options: Options) -> Iterator[Record]:
    """The documents of a PubTator file; `KcxError` naming file and line for what cannot be lined up."""
    blocks = list(read_blocks(path))
    related = any(_is_relation(row.text.split("\t")) for block in blocks for row in block)
    for block in blocks:
        yield _Document(block, path, options).record(related)


def _is_relation(cells: list[str]) -> bool:
    return len(cells) >= 4 and not _NUMBER.fullmatch(cells[1])


class _Document:
    """One block: its text, its mentions and what concepts they mean."""

    def __init__(self, block: list[Row], path: Path, options: Options) -> None:
        where = f"{path}:{block[0].line}"
        title = TITLE.fullmatch(block[0].text)
        if not title:
            raise KcxError(f"{where}: expected `id|t|title`, got {block[0].text[:60]!r}")
        abstract = _ABSTRACT.fullmatch(block[1].text) if len(block) > 1 else None
        self.identifier, text = title.groups()
        if abstract:
            text = f"{text} {abstract[2]}"
        self.draft = Draft(path, where, text, options)
        self.concepts: dict[str, list[str]] = {}
        self.composites: dict[str, list[str]] = {}
        self.notes: list[list[str]] = []
        rows = [(f"{path}:{row.line}", row.text.split("\t")) for row in block[2 if abstract else 1 :]]
        for where, cells in rows:
            if cells[0] != self.identifier or len(cells) < 4:
                raise KcxError(f"{where}: no line of the document {self.identifier}, parted by tabs")
            self.draft.where = where
            if not _is_relation(cells):
                self._mention(cells, where)
        self.first = self._first_mentions()
        for where, cells in rows:
            self.draft.where = where
            if _is_relation(cells):
                self._relation(cells)

    def record(self, related: bool) -> Record:
        """The record; `related`: whether the file annotates relations."""
        meta: dict[str, Any] = {"concepts": self.concepts}
        if self.composites:
            meta["composites"] = self.composites
        if related:
            meta["relation_notes"] = self.notes
        return self.draft.record(self.identifier, relations=related, **meta)

    def _mention(self, cells: list[str], where: str) -> None:
        if len(cells) < 5 or not (_NUMBER.fullmatch(cells[1]) and _NUMBER.fullmatch(cells[2])):
            raise KcxError(f"{where}: expected `id TAB start TAB end TAB surface TAB type`, got {cells[:5]}")
        span = surface_span(self.draft.text, ((int(cells[1]), int(cells[2])),), cells[3], where)
        identifier = self.draft.mention(span, cells[4], "type")
        concept = cells[5].strip() if len(cells) > 5 else ""
        self.concepts[identifier] = [c for c in _CONCEPTS.split(concept) if c not in _NO_CONCEPT]
        if len(cells) > 6 and cells[6]:
            self.composites[identifier] = cells[6].split("|")

    def _first_mentions(self) -> dict[str, str]:
        """The first mention of each concept, in the order of the text."""
        first: dict[str, str] = {}
        for mention in sorted(self.draft.mentions.values(), key=text_order):
            for concept in self.concepts[mention.id]:
                first.setdefault(concept, mention.id)
        return first

    def _relation(self, cells: list[str]) -> None:
        label, head, tail = cells[1:4]
        if head not in self.first or tail not in self.first:
            self.draft.set_aside("relations on concepts without a mention", cells[1:])
            return
        self.draft.link(label, self.first[head], self.first[tail], "relation")
        self.notes.append(cells[4:])
