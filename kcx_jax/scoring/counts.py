"""The three figures, from counts: as they are, from rounded ones, and averaged over classes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """tp / (tp + fp), in [0, 1]; 0 where nothing was predicted."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """tp / (tp + fn), in [0, 1]; 0 where nothing was to be found."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn), in [0, 1]."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 0.0

    def to_json(self) -> dict[str, Any]:
        """The counts and the three figures."""
        figures = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return figures | {"tp": self.tp, "fp": self.fp, "fn": self.fn}


@dataclass(frozen=True)
class RoundedCounts(Counts):
    """Counts whose precision and recall are rounded to two decimals before the F1 is made of them."""

    @property
    def precision(self) -> float:
        """tp / (tp + fp), rounded to two decimals."""
        return round(super().precision, 2)

    @property
    def recall(self) -> float:
        """tp / (tp + fn), rounded to two decimals."""
        return round(super().recall, 2)

    @property
    def f1(self) -> float:
        """The harmonic mean of the rounded figures, itself not rounded."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class MacroCounts(Counts):
    """The sums over `classes`, with the unweighted means of the classes' figures; 0 where there is none."""

    classes: tuple[Counts, ...] = ()

    @classmethod
    def over(cls, classes: Iterable[Counts]) -> "MacroCounts":
        """The sums and means over `classes`."""
        each = tuple(classes)
        return cls(sum(c.tp for c in each), sum(c.fp for c in each), sum(c.fn for c in each), each)

    @property
    def precision(self) -> float:
        """The mean of the classes' precisions, in [0, 1]."""
        return self._mean([c.precision for c in self.classes])

    @property
    def recall(self) -> float:
        """The mean of the classes' recalls, in [0, 1]."""
        return self._mean([c.recall for c in self.classes])

    @property
    def f1(self) -> float:
        """The mean of the classes' F1, in [0, 1]; not the F1 of the mean precision and recall."""
        return self._mean([c.f1 for c in self.classes])

    @staticmethod
    def _mean(figures: list[float]) -> float:
        return sum(figures) / len(figures) if figures else 0.0
