"""The work of a run, in its ledger: one row a record and target language, with how it ended.

Rows are read in pages, so that a run of a million records needs no more memory than one of a thousand.
"""

import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError
from kcx_jax.llm import Ledger
from kcx_jax.parallel.runs.duplicates import Originals
from kcx_jax.parallel.translation.outcomes import Outcome

PENDING, PAIR, PEOPLE = "pending", "pair", "people"
SOURCE, OUTCOME = "source", "outcome"  # kinds of packed texts
PAGE = 1_000
_SURROGATE = re.compile("[\ud800-\udfff]")

_FILL = f"""
INSERT INTO sample (id, target, position, filled, digest, source, duplicate_of, state)
VALUES (?, ?, ?, ?, ?, ?, ?, '{PENDING}')
ON CONFLICT (id, target) DO UPDATE SET
    position = excluded.position, filled = excluded.filled, digest = excluded.digest, source = excluded.source,
    duplicate_of = excluded.duplicate_of,
    state = CASE WHEN digest = excluded.digest THEN state ELSE '{PENDING}' END,
    outcome = CASE WHEN digest = excluded.digest THEN outcome END
WHERE filled < excluded.filled
"""
_DUPLICATES = f"""
SELECT row.position, row.target, row.source, original.source, original.outcome
FROM sample AS row JOIN sample AS original ON original.id = row.duplicate_of AND original.target = row.target
WHERE row.filled = ? AND row.state = '{PENDING}' AND original.state != '{PENDING}' AND row.position > ?
ORDER BY row.position LIMIT {PAGE}
"""


class Worklist:
    """The rows that the last start of a run was given."""

    def __init__(self, ledger: Ledger):
        self._store, self._packing = ledger.store, ledger.packing

    @property
    def start(self) -> int:
        """The number of the last start, which may be another process's; 0 before the first."""
        return self._store.read("SELECT coalesce(max(filled), 0) FROM sample").fetchone()[0]

    def fill(self, records: Iterable[Record], targets: Sequence[str], settings: Any) -> None:
        """Enter the input of a new start. A row whose record and `settings` are the same keeps its end.

        A record with the content of an earlier one is its duplicate, and no work of its own.

        Raises `KcxError` for an id twice and for half a character, and whatever reading `records` does; then
        nothing was changed.
        """
        filled = self.start + 1
        salt = hashlib.sha256(json.dumps(settings, ensure_ascii=False, sort_keys=True).encode()).digest()

        records = iter(records)
        first = list(islice(records, 1))
        for record in first:  # the pattern is on disk before the rows that lean on it
            self._packing.learn(SOURCE, _source(record))

        def enter(db: sqlite3.Connection) -> None:
            numbers = count()
            for record in chain(first, records):
                source = _source(record)
                packed = self._packing.pack(SOURCE, source)
                original = originals.of(record)
                work = source if original is None else f"{source}\n{original}"
                for target in targets:
                    named = f"{target}\n{work}".encode()
                    digest = hashlib.blake2b(named, digest_size=16, key=salt).digest()
                    row = (record.id, target, next(numbers), filled, digest, packed, original)
                    if db.execute(_FILL, row).rowcount != 1:
                        raise id_twice(record.id)

        with Originals() as originals:
            self._store.change(enter)

    def pending(self) -> Iterator[tuple[Record, str]]:
        """The records not at their end yet with their target languages, in the order of the input."""
        for target, source, _ in self._rows((PENDING,)):
            yield Record.from_json(self._json(source)), target

    def to_translate(self) -> Iterator[tuple[Record, str]]:
        """Those of `pending` that are no duplicates."""
        for target, source, _ in self._rows((PENDING,), "AND duplicate_of IS NULL"):
            yield Record.from_json(self._json(source)), target

    def to_take_over(self) -> Iterator[tuple[Record, Outcome]]:
        """Those of `pending` that are duplicates of a record that came to its end, and how that one ended."""
        self._store.flush()
        position = -1
        while True:
            page = self._store.read(_DUPLICATES, self.start, position).fetchall()
            for _, target, source, original, outcome in page:
                of = Outcome.from_json(Record.from_json(self._json(original)), target, self._json(outcome))
                yield Record.from_json(self._json(source)), of
            if len(page) < PAGE:
                return
            position = page[-1][0]

    def ended(self, *states: str) -> Iterator[Outcome]:
        """How records ended, in the order of the input; `states`: `PAIR`, `PEOPLE` or both (none given)."""
        for target, source, outcome in self._rows(states or (PAIR, PEOPLE)):
            yield Outcome.from_json(Record.from_json(self._json(source)), target, self._json(outcome))

    def all(self) -> Iterator[tuple[Record, str, Outcome | None]]:
        """Every record with its target language and how it ended, or None; in the order of the input."""
        last = -1
        while True:
            page = self._store.read(
                "SELECT position, target, source, outcome FROM sample WHERE filled = ? AND position > ? "
                f"ORDER BY position LIMIT {PAGE}",
                *(self.start, last),
            ).fetchall()
            for _, target, source, outcome in page:
                record = Record.from_json(self._json(source))
                yield record, target, outcome and Outcome.from_json(record, target, self._json(outcome))
            if len(page) < PAGE:
                return
            last = page[-1][0]

    def record(self, id: str, target: str) -> Record | None:
        """The record of a row; None where the input has none of that name."""
        row = "SELECT source FROM sample WHERE id = ? AND target = ? AND filled = ?"
        found = self._store.read(row, id, target, self.start).fetchone()
        return found and Record.from_json(self._json(found[0]))

    def _rows(self, states: Sequence[str], more: str = "") -> Iterator[tuple[str, bytes, bytes]]:
        marks = ", ".join("?" * len(states))
        position = -1
        while True:
            page = self._store.read(
                f"SELECT position, target, source, outcome FROM sample WHERE filled = ? "
                f"AND state IN ({marks}) {more} AND position > ? ORDER BY position LIMIT {PAGE}",
                *(self.start, *states, position),
            ).fetchall()
            yield from (row[1:] for row in page)
            if len(page) < PAGE:
                return
            position = page[-1][0]

    def _json(self, packed: bytes) -> Any:
        return json.loads(self._packing.unpack(packed))

    def finish(self, outcome: Outcome) -> None:
        """Keep how a record ended; one that got no answer stays pending, for the next start."""
        packed = self._packing.pack(OUTCOME, json.dumps(outcome.to_json()))
        state = PAIR if outcome.pair is not None else PEOPLE
        if outcome.unanswered:
            state = PENDING
        self._store.write(
            "UPDATE sample SET state = ?, outcome = ? WHERE id = ? AND target = ?",
            *(state, packed, outcome.record.id, outcome.target),
        )

    def reopen(self) -> None:
        """Let every record be pending again."""
        self._store.write(
            f"UPDATE sample SET state = '{PENDING}', outcome = NULL WHERE filled = ?", self.start
        )
        self._store.flush()

    def ids(self) -> Iterator[tuple[str, str]]:
        """Id and target language of every row, in the order of the input."""
        rows = "SELECT id, target FROM sample WHERE filled = ? ORDER BY position"
        yield from self._store.read(rows, self.start)

    def duplicates(self) -> int:
        """How many rows are duplicates of others."""
        rows = self._store.read("SELECT count(duplicate_of) FROM sample WHERE filled = ?", self.start)
        return rows.fetchone()[0]

    def counts(self, target: str | None = None) -> Counter[str]:
        """How many rows are in each state: of one target language, or of all."""
        rows = self._store.read(
            "SELECT state, count(*) FROM sample WHERE filled = ? AND target = coalesce(?, target) GROUP BY 1",
            *(self.start, target),
        )
        return Counter(dict(rows))


def id_twice(id: str) -> KcxError:
    """The error of an input in which two records have one id."""
    return KcxError(f"two records have the id {id!r}; a run joins its results by id")


def _source(record: Record) -> str:
    source = json.dumps(record.to_json(), ensure_ascii=False)
    if not source.isascii() and _SURROGATE.search(source):
        raise KcxError(
            f"record {record.id!r} has half a character (a lone surrogate, \\ud800 to \\udfff), which no text may "
            "have. Mend it in the corpus."
        )
    return source
