"""What of a test set also stands in the training set: sentences, and the surfaces of mentions."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from kcx_jax.corpora.record import Record


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


@dataclass(frozen=True)
class Leakage:
    """Shares of the test set that occur in training.

    sentences: texts of records. mentions: entity mentions whose surface is a mention in some training record,
    of whatever type. names: the same, each surface counted once.
    """

    sentences: Share
    mentions: Share
    names: Share


def leakage(train: Iterable[Record], test: Iterable[Record]) -> Leakage:
    """Compare a test set with a training set.

    Texts and surfaces are the same when they are equal after NFKC, case folding and the removal of white
    space: tokenised and running text compare equal.
    """
    sentences: set[str] = set()
    surfaces: set[str] = set()
    for record in train:
        sentences.add(_folded(record.text))
        surfaces.update(_folded(mention.text) for mention in record.entities or ())
    texts, mentions = [], []
    for record in test:
        texts.append(record.text)
        mentions += [mention.text for mention in record.entities or ()]
    names = list({_folded(mention): mention for mention in mentions}.values())
    return Leakage(_share(texts, sentences), _share(mentions, surfaces), _share(names, surfaces))


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _share(items: list[str], known: set[str], examples: int = 5) -> Share:
    seen = [item for item in items if _folded(item) in known]
    return Share(len(seen), len(items), tuple(dict.fromkeys(seen))[:examples])
