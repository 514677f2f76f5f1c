"""The counts of one measure, record by record: what sums, intervals and paired tests are made of."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.figures import Groups


class RecordCounts:
    """The counts of each record by language and type, in arrays: a few numbers an item, no objects.

    Iterating gives one `Counts` a record, in the order of gold.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], int] = {}
        self._rows = array("q")  # record, group, tp, fp, fn; again and again
        self._numbers = array("q")
        self._table: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(cls, records: Iterable[Counts]) -> "RecordCounts":
        """The same from the counts of each record, of no language and no type."""
        made = cls()
        for number, counts in enumerate(records):
            made.add(number, "", {"": (counts.tp, counts.fp, counts.fn)})
        return made

    def add(self, number: int, language: str, by_type: Mapping[str, Sequence[int]]) -> None:
        """Put down the record `number` of gold: (tp, fp, fn) by type."""
        self._numbers.append(number)
        self._table = None
        for label, counts in by_type.items():
            group = self._groups.setdefault((language, label), len(self._groups))
            self._rows.extend((number, group, *counts))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Counts]:
        numbers, _, counts = self._arrays()
        sums = np.zeros((len(self), 3), dtype=np.int64)
        np.add.at(sums, numbers, counts)
        return (Counts(*map(int, row)) for row in sums)

    def sums(self, weights_N: np.ndarray) -> Groups:
        """The counts by group, the n-th record of gold taken `weights_N[n]` times."""
        numbers, groups, counts = self._arrays()
        weights = weights_N[numbers]
        columns = [np.bincount(groups, weights * counts[:, i], len(self._groups)) for i in range(3)]
        table = np.stack(columns, axis=1).round().astype(np.int64).tolist() if self._groups else []
        return {key: Counts(*table[group]) for key, group in self._groups.items()}

    def differing(self, other: "RecordCounts") -> int:
        """In how many records some language and type has other counts than in `other`, which is of the same gold."""
        places = {key: place for place, key in enumerate({**self._groups, **other._groups})}
        cells, signed = [], []
        for side, sign in ((self, 1), (other, -1)):
            numbers, groups, counts = side._arrays()
            own = np.array([places[key] for key in side._groups], dtype=np.int64)
            cells.append(numbers * len(places) + own[groups])
            signed.append(sign * counts)
        found, where = np.unique(np.concatenate(cells), return_inverse=True)
        apart = np.zeros((len(found), 3), dtype=np.int64)
        np.add.at(apart, where, np.concatenate(signed))
        return len(np.unique(found[apart.any(axis=1)] // max(1, len(places))))

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each row: the record's place among all records, its group, its counts."""
        if self._table is None:
            rows = np.array(self._rows, dtype=np.int64).reshape(-1, 5)
            order = np.sort(np.array(self._numbers, dtype=np.int64))
            self._table = np.searchsorted(order, rows[:, 0]), rows[:, 1], rows[:, 2:]
        return self._table
