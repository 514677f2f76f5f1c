"""What of a test set also stands in the training sets: sentences, near-duplicates, and mentions.

The test set is held and indexed; the training sets are streamed past it, so memory does not grow with them.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from kcx_jax.corpora.record import Record

_BATCH = 1024


@dataclass(frozen=True)
class Share:
    """How many of `total` were seen in training, with the first few of these for a look."""

    seen: int
    total: int
    examples: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """`seen` of `total`, in [0, 1]; 0 where there is nothing."""
        return self.seen / self.total if self.total else 0.0

    def to_json(self) -> dict[str, Any]:
        """The share as JSON values."""
        return asdict(self) | {"fraction": self.fraction}


@dataclass(frozen=True)
class Duplicate:
    """A test sentence and the most similar one of training; `similarity` is 1.0 where they are the same."""

    test_id: str
    test_text: str
    train_id: str
    train_text: str
    similarity: float


@dataclass(frozen=True)
class Leakage:
    """Shares of the test set that occur in training.

    sentences: texts of records that are the same. near: texts that are not, but are near-duplicates (None: not
    looked for). mentions: entity mentions whose surface is a mention in some training record, of whatever type.
    labels: the same, with the same type. names: as mentions, each surface counted once. duplicates: every test
    sentence of `sentences` and `near` with its partner, in the order of the test set.
    """

    sentences: Share
    near: Share | None
    mentions: Share
    labels: Share
    names: Share
    duplicates: tuple[Duplicate, ...]

    def shares(self) -> dict[str, Share]:
        """What was looked for: its name and its share."""
        named = {"sentences": self.sentences, "near-duplicates": self.near, "mentions": self.mentions}
        named |= {"mentions with their type": self.labels, "distinct names": self.names}
        return {name: share for name, share in named.items() if share is not None}

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON values."""
        report: dict[str, Any] = {name: share.to_json() for name, share in self.shares().items()}
        return report | {"duplicates": [asdict(duplicate) for duplicate in self.duplicates]}


def leakage(
    train: Iterable[Record], test: Iterable[Record], near: float | None = None, size: int = 4
) -> Leakage:
    """Compare a test set with what a model is trained on; the order of `train` does not matter.

    Texts and surfaces are the same when they are equal after NFKC, case folding and the removal of white
    space: tokenised and running text compare equal.

    Args:
        train: read once, in batches.
        test: held in memory.
        near: also find near-duplicates: the least Jaccard index of the sets of character n-grams, in (0, 1].
            This needs the extra ``leakage``.
        size: the n of the n-grams.

    Raises `UsageError` for `near` or `size` out of range.
    """
    watch = _Watch(test)
    index = None
    if near is not None:
        from kcx_jax.corpora.near import NearIndex

        index = NearIndex(watch.texts, near, size)
    for batch in _batches(train):
        folded = [_folded(record.text) for record in batch]
        for record, text in zip(batch, folded, strict=True):
            watch.exact(record, text)
            watch.mentions(record)
        for asked, known, similarity in index.query(folded) if index else ():
            watch.near(batch[asked], folded[asked], known, similarity)
    return watch.report(near is not None)


class _Watch:
    """The test set, and what of it has been seen so far."""

    def __init__(self, test: Iterable[Record]):
        self._records: list[tuple[str, str, int]] = []  # id, text, place of its folded text
        self._places: dict[str, int] = {}
        self._mentions: list[tuple[str, str, str]] = []  # text, folded, type
        for record in test:
            folded = _folded(record.text)
            place = self._places.setdefault(folded, len(self._places))
            self._records.append((record.id, record.text, place))
            self._mentions += [(m.text, _folded(m.text), m.type) for m in record.entities or ()]
        self.texts = list(self._places)
        self._best: dict[int, tuple[float, str, str]] = {}  # place -> (-similarity, id, text), the least wins
        self._surfaces = {folded for _, folded, _ in self._mentions}
        self._labels = {(folded, type_) for _, folded, type_ in self._mentions}
        self._seen_surfaces: set[str] = set()
        self._seen_labels: set[tuple[str, str]] = set()

    def exact(self, record: Record, folded: str) -> None:
        place = self._places.get(folded)
        if place is not None:
            self._offer(place, record, 1.0)

    def near(self, record: Record, folded: str, place: int, similarity: float) -> None:
        # Different texts may have the same set of n-grams ("aaaa" and "aaaaa"); 1.0 is for equal ones.
        if folded != self.texts[place]:
            self._offer(place, record, min(similarity, 0.9999))

    def mentions(self, record: Record) -> None:
        for mention in record.entities or ():
            surface = _folded(mention.text)
            if surface in self._surfaces:
                self._seen_surfaces.add(surface)
                if (surface, mention.type) in self._labels:
                    self._seen_labels.add((surface, mention.type))

    def _offer(self, place: int, record: Record, similarity: float) -> None:
        candidate = (-similarity, record.id, record.text)
        if place not in self._best or candidate < self._best[place]:
            self._best[place] = candidate

    def report(self, near: bool) -> Leakage:
        duplicates = []
        for id_, text, place in self._records:
            if place in self._best:
                negated, train_id, train_text = self._best[place]
                duplicates.append(Duplicate(id_, text, train_id, train_text, -negated))
        total = len(self._records)
        surfaces = [(text, folded in self._seen_surfaces) for text, folded, _ in self._mentions]
        labels = [(text, (folded, type_) in self._seen_labels) for text, folded, type_ in self._mentions]
        names = {folded: (text, folded in self._seen_surfaces) for text, folded, _ in self._mentions}
        return Leakage(
            _share([d.test_text for d in duplicates if d.similarity == 1], total),
            _share([d.test_text for d in duplicates if d.similarity < 1], total) if near else None,
            _share([text for text, seen in surfaces if seen], len(surfaces)),
            _share([text for text, seen in labels if seen], len(labels)),
            _share([text for text, seen in names.values() if seen], len(names)),
            tuple(duplicates),
        )


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    stream = iter(records)
    while batch := list(islice(stream, _BATCH)):
        yield batch


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _share(seen: list[str], total: int, examples: int = 5) -> Share:
    return Share(len(seen), total, tuple(dict.fromkeys(seen))[:examples])
