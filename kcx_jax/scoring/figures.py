"""The figures of a dataset from the counts of its languages and types: whole, by type, by language, macro."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kcx_jax.scoring.counts import Counts, MacroCounts

# All units' counts and the counts by type -> the figures of the dataset.
Averaging = Callable[[Counts, dict[str, Counts]], Counts]
# Counts by language and type; the type "" stands for no type.
Groups = dict[tuple[str, str], Counts]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Figures(Generic[T]):
    """One value for the dataset, for the mean over types, for each type and for each language."""

    total: T
    macro: T
    per_type: dict[str, T]
    per_language: dict[str, T]

    def each(self, change: Callable[[T], U]) -> "Figures[U]":
        """The same figures, each changed."""
        return Figures(
            change(self.total),
            change(self.macro),
            {name: change(value) for name, value in self.per_type.items()},
            {name: change(value) for name, value in self.per_language.items()},
        )


def micro(total: Counts, per_type: dict[str, Counts]) -> Counts:
    """The figures of all units together."""
    return total


def figures(groups: Groups, averaging: Averaging = micro) -> Figures[Counts]:
    """The figures from counts by language and type; `averaging` makes that of the dataset and of a language."""
    per_type = _per_type(groups)
    languages = sorted({language for language, _ in groups if language})
    return Figures(
        _figure(per_type, averaging),
        MacroCounts.over(_present(per_type).values()),
        {label: counts for label, counts in per_type.items() if label},
        {
            name: _figure(_per_type({key: c for key, c in groups.items() if key[0] == name}), averaging)
            for name in languages
        },
    )


def _per_type(groups: Groups) -> dict[str, Counts]:
    sums: dict[str, Counts] = {}
    for (_, label), counts in groups.items():
        sums[label] = sums.get(label, Counts()) + counts
    return dict(sorted(sums.items()))


def _present(per_type: dict[str, Counts]) -> dict[str, Counts]:
    """The types that are in gold or predicted; a draw of records may have none of a type."""
    return {label: counts for label, counts in per_type.items() if label and counts != Counts()}


def _figure(per_type: dict[str, Counts], averaging: Averaging) -> Counts:
    return averaging(sum(per_type.values(), Counts()), _present(per_type))
