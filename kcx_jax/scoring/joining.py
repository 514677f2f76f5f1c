"""Two streams of records, joined by id, in memory that does not grow with them.

Files in the same order are joined in step. What comes out of step waits, a bounded part of it in memory and
the rest in a temporary file.
"""

import pickle
import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import numpy as np

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError

IN_MEMORY = 20_000  # records that wait for their other side

# The number of the gold record (from 0), the record, and what was predicted for it.
Pair = tuple[int, Record, Record | None]


def joined(gold: Iterable[Record], predicted: Iterable[Record]) -> Iterator[Pair]:
    """Every gold record with the predicted one of its id, or None; those without one come last.

    Raises `KcxError` for an id used twice, a prediction without gold, or a prediction for another text. An id
    used twice may show only at the end.
    """
    wanted, given = _Side("gold"), _Side("predicted")
    for record, guess in zip_longest(gold, predicted):
        if record is not None and guess is not None and record.id == guess.id:
            given.number(guess)
            yield _pair(wanted.number(record), record, guess)
            continue
        if record is not None:
            number, other = wanted.number(record), given.pop(record.id)
            if other is not None:
                yield _pair(number, record, other[1])
            else:
                wanted.wait(number, record)
        if guess is not None:
            number, other = given.number(guess), wanted.pop(guess.id)
            if other is not None:
                yield _pair(other[0], other[1], guess)
            else:
                given.wait(number, guess)
    wanted.refuse_repeats()
    given.refuse_repeats()
    extra = [record.id for _, record in given.waiting()]
    if extra:
        shown = ", ".join(map(repr, extra[:3]))
        raise KcxError(f"{len(extra)} predicted records have no gold record of their id, such as {shown}")
    for number, record in wanted.waiting():
        yield number, record, None


def _pair(number: int, record: Record, guess: Record) -> Pair:
    if guess.text != record.text:
        texts = f"{guess.text[:40]!r} against gold {record.text[:40]!r}"
        raise KcxError(f"record {record.id!r}: the predicted text is not the gold text: {texts}")
    return number, record, guess


class _Side:
    """The records of one side that wait, and a trace of every id, eight bytes each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._traces = array("q")
        self._near: dict[str, tuple[int, Record]] = {}
        self._far: sqlite3.Connection | None = None

    def number(self, record: Record) -> int:
        """The number of a record that has just been read."""
        self._traces.append(hash(record.id))
        return len(self._traces) - 1

    def wait(self, number: int, record: Record) -> None:
        """Keep a record until the other side has its id."""
        if len(self._near) < IN_MEMORY:
            self._near.setdefault(record.id, (number, record))
            return
        if self._far is None:
            # A file of this process alone, which SQLite deletes; so what is unpickled was pickled here.
            self._far = sqlite3.connect("")
            self._far.execute("CREATE TABLE waiting (id BLOB PRIMARY KEY, number INTEGER, record BLOB)")
        row = (_key(record.id), number, pickle.dumps(record))
        self._far.execute("INSERT OR IGNORE INTO waiting VALUES (?, ?, ?)", row)

    def pop(self, id: str) -> tuple[int, Record] | None:
        """The waiting record of that id, which waits no more."""
        found = self._near.pop(id, None)
        if found is not None or self._far is None:
            return found
        row = self._far.execute("SELECT number, record FROM waiting WHERE id = ?", (_key(id),)).fetchone()
        if row is None:
            return None
        self._far.execute("DELETE FROM waiting WHERE id = ?", (_key(id),))
        return row[0], pickle.loads(row[1])

    def waiting(self) -> Iterator[tuple[int, Record]]:
        """What still waits, in the order in which it was read."""
        yield from self._near.values()
        if self._far is not None:
            for number, packed in self._far.execute("SELECT number, record FROM waiting ORDER BY number"):
                yield number, pickle.loads(packed)

    def refuse_repeats(self) -> None:
        """Raise `KcxError` for two records of one id, by their numbers."""
        traces = np.frombuffer(self._traces, dtype=np.int64)
        ordered = np.sort(traces)
        if not (ordered[1:] == ordered[:-1]).any():
            return
        order = np.argsort(traces, kind="stable")
        at = np.flatnonzero(traces[order][1:] == traces[order][:-1])[0]
        first, second = int(order[at]) + 1, int(order[at + 1]) + 1
        raise KcxError(
            f"{self._name}: records {first} and {second} (counted from 1) have the same id; "
            "scores are joined by unique id"
        )


def _key(id: str) -> bytes:
    return id.encode("utf-8", "surrogatepass")
