"""The ledger: every request to a model and every reply, on disk before anything is made of it.

A call is entered as ``intent`` before it is sent and becomes ``answered`` (a body came back, so it may have
cost money), ``failed`` (the endpoint said no) or ``interrupted`` (nobody knows: a time-out, a lost connection,
a killed process). Money is in billionths of a dollar.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from kcx_jax.errors import KcxError
from kcx_jax.llm.money import dollars
from kcx_jax.llm.packing import Packing
from kcx_jax.llm.reply import Usage
from kcx_jax.llm.retry import Failure
from kcx_jax.llm.store import Store
from kcx_jax.llm.tables import MIGRATIONS, TABLES, VERSION
from kcx_jax.llm.transport import Answer

# Kinds of texts that are packed; a request's has its stage behind it.
REQUEST, REPLY, FAILURE = "request", "reply", "failure"


@dataclass(frozen=True)
class Cost:
    """What a call cost, in billionths of a dollar, and the price it was reckoned by; None: not known."""

    nano_usd: int | None = None
    price: str | None = None


@dataclass(frozen=True)
class Spent:
    """The bill so far, in billionths of a dollar. ``possible`` is the most that calls without a known cost
    (nobody knows whether they were served, or how many tokens they took) may add, ``unpriced`` their number."""

    known: int = 0
    possible: int = 0
    unpriced: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        if not self.unpriced:
            return dollars(self.known)
        more = f", at most {dollars(self.possible)}" if self.possible else ""
        return f"{dollars(self.known)}, and {self.unpriced:,} calls of unknown cost{more}"


class Ledger:
    """The calls of one run, in the SQLite file at `path` (made when absent). Raises as `Store` does.

    What is entered is on disk once `committed` returns.
    """

    def __init__(self, path: str | Path, readonly: bool = False):
        self.path = Path(path)
        if readonly and not self.path.exists():
            raise KcxError(f"no ledger at {self.path}. A run's folder holds ledger.db once it was started.")
        self.store = Store(self.path, TABLES, VERSION, MIGRATIONS, readonly)
        self.packing = Packing(self.path, self.store.read, self.store.write)
        if not readonly:
            self.store.write(
                "UPDATE call SET state = 'interrupted', error_class = 'killed' "
                "WHERE state = 'intent' AND batch IS NULL"
            )
            # A batch is created once `uploaded` is on disk: these were not, and nobody has to look for them.
            self.store.write(
                "UPDATE call SET state = 'failed', error_class = 'not_served' WHERE state = 'intent' "
                "AND batch IN (SELECT key FROM batch WHERE state = 'creating')"
            )
            self.store.write("UPDATE batch SET state = 'collected' WHERE state = 'creating'")
            self.store.flush()
            last = self.store.read("SELECT coalesce(max(id), 0) FROM call").fetchone()[0]
            self._numbers = count(last + 1)  # of calls; several threads may take them

    def start_run(self, config: dict[str, Any]) -> None:
        """Note the configuration of a run, if it is not the one noted last."""
        if self.run_config() != config:
            text = json.dumps(config, ensure_ascii=False, sort_keys=True)
            self.store.write("INSERT INTO run (config, created) VALUES (?, ?)", text, time.time())
            self.store.flush()

    def run_config(self) -> dict[str, Any] | None:
        """The configuration noted last, or None."""
        row = self.store.read("SELECT config FROM run ORDER BY id DESC LIMIT 1").fetchone()
        return json.loads(row[0]) if row else None

    def note(self, name: str, value: str) -> None:
        """Keep a fact under a name, in place of what stood there."""
        self.store.write("INSERT OR REPLACE INTO note VALUES (?, ?)", name, value)

    def noted(self, name: str) -> str | None:
        """The fact kept under a name, or None."""
        row = self.store.read("SELECT value FROM note WHERE name = ?", name).fetchone()
        return row[0] if row else None

    def answers(self, key: bytes) -> list[bytes]:
        """The raw bodies that came back for the request `key`, oldest first."""
        rows = self.store.read("SELECT reply FROM call WHERE key = ? AND state = 'answered' ORDER BY id", key)
        return [self.packing.unpack(row[0]) for row in rows]

    def request(self, call: int) -> str:
        """The JSON body of a call, as it was sent."""
        row = self.store.read("SELECT request FROM call WHERE id = ?", call).fetchone()
        return self.packing.unpack_text(row[0])

    def ambiguous(self, key: bytes) -> list[tuple[int, float]]:
        """Calls of the request `key` of which nobody knows the end: number, and when it was sent."""
        rows = self.store.read(
            "SELECT id, sent FROM call WHERE key = ? AND state = 'interrupted' ORDER BY id", key
        )
        return list(rows)

    def intend(
        self,
        key: bytes,
        *,
        stage: str,
        record: str,
        model: str,
        request: str | bytes,
        reserved: int = 0,
        batch: str | None = None,
    ) -> int:
        """Enter a call before it is sent; returns its number. `reserved`: the most it can cost."""
        call = next(self._numbers)
        packed = self.packing.pack(f"{REQUEST} {stage}", request)
        self.store.write(
            "INSERT INTO call (id, key, stage, record, model, request, state, sent, reserved_nano_usd, batch)"
            " VALUES (?, ?, ?, ?, ?, ?, 'intent', ?, ?, ?)",
            *(call, key, stage, record, model, packed, time.time(), reserved, batch),
        )
        return call

    async def committed(self) -> None:
        """Wait until all that was entered is on disk."""
        await self.store.committed()

    def answer(self, call: int, answer: Answer) -> None:
        """Keep the raw body of a reply, before anyone reads it."""
        self.store.write(
            "UPDATE call SET state = 'answered', error_class = NULL, reply = ?, http_status = ?, "
            "request_id = ?, done = ? WHERE id = ?",
            *(
                self.packing.pack(REPLY, answer.body),
                answer.http_status,
                answer.request_id,
                time.time(),
                call,
            ),
        )

    def judge(
        self, call: int, usage: Usage, cost: Cost, *, error_class: str | None, finish_reason: str | None
    ) -> None:
        """Note what reading an answered call's body gave."""
        self.store.write(
            "UPDATE call SET error_class = ?, finish_reason = ?, input_tokens = ?, cached_tokens = ?, "
            "output_tokens = ?, reasoning_tokens = ?, nano_usd = ?, price = ? WHERE id = ?",
            *(error_class, finish_reason, usage.input_tokens, usage.cached_tokens, usage.output_tokens),
            *(usage.reasoning_tokens, cost.nano_usd, cost.price, call),
        )

    def fail(self, call: int, failure: Failure) -> None:
        """Note that a call gave no answer."""
        state = "interrupted" if failure.interrupted else "failed"
        body = None if failure.body is None else self.packing.pack(FAILURE, failure.body)
        self.store.write(
            "UPDATE call SET state = ?, error_class = ?, http_status = ?, request_id = ?, reply = ?, "
            "done = ? WHERE id = ?",
            *(state, failure.error_class, failure.http_status, failure.request_id, body),
            *(time.time(), call),
        )

    def call_of(self, key: bytes) -> int:
        """The number of the last answered call of the request `key`."""
        rows = "SELECT max(id) FROM call WHERE key = ? AND state = 'answered'"
        return self.store.read(rows, key).fetchone()[0]

    def reserved(self, call: int) -> int:
        """The most that a call can cost, as it was set aside."""
        return self.store.read("SELECT reserved_nano_usd FROM call WHERE id = ?", call).fetchone()[0]

    def outcome(self, call: int) -> tuple[bytes | None, str | None]:
        """The body of an answered call, or None; and the error class."""
        rows = "SELECT CASE WHEN state = 'answered' THEN reply END, error_class FROM call WHERE id = ?"
        packed, error_class = self.store.read(rows, call).fetchone()
        return None if packed is None else self.packing.unpack(packed), error_class

    def new_batch(self, name: str, model: str, calls: int) -> None:
        """Enter a batch before it is created; its calls name it."""
        self.store.write(
            "INSERT INTO batch (key, model, state, calls, created) VALUES (?, ?, 'creating', ?, ?)",
            *(name, model, calls, time.time()),
        )

    def batch_is(self, name: str, state: str, **facts: str | None) -> None:
        """Note how far a batch is, with its `file_id`, `batch_id` or `usage`."""
        for column, value in {"state": state, **facts}.items():
            assert column in ("state", "file_id", "batch_id", "usage")
            self.store.write(f"UPDATE batch SET {column} = ? WHERE key = ?", value, name)

    def open_batches(self, model: str) -> list[tuple[str, str | None]]:
        """Batches of `model` that were not collected: name, and the endpoint's id if it is known."""
        rows = "SELECT key, batch_id FROM batch WHERE state != 'collected' AND model = ? ORDER BY created"
        return self.store.read(rows, model).fetchall()

    def open_calls(self, batch: str) -> set[int]:
        """The calls of a batch whose end is not known."""
        rows = self.store.read("SELECT id FROM call WHERE batch = ? AND state = 'intent'", batch)
        return {row[0] for row in rows}

    def answered(self, unread: bool = False) -> Iterator[tuple[int, str, bytes, bool]]:
        """The answers: number, model, body, whether from a batch. ``unread``: those that a killed process kept
        and did not read."""
        where = "AND finish_reason IS NULL AND error_class IS NULL " if unread else ""
        last = 0
        while True:
            page = self.store.read(
                "SELECT id, model, reply, batch IS NOT NULL FROM call "
                f"WHERE state = 'answered' {where}AND id > ? ORDER BY id LIMIT 1000",
                last,
            ).fetchall()
            for call, model, packed, batch in page:
                yield call, model, self.packing.unpack(packed), batch
            if len(page) < 1000:
                return
            last = page[-1][0]

    def spent(self) -> Spent:
        """The bill of all calls so far."""
        row = self.store.read(
            "SELECT coalesce(sum(nano_usd), 0), coalesce(sum(CASE WHEN nano_usd IS NULL "
            "AND state != 'failed' THEN reserved_nano_usd END), 0), "
            "coalesce(sum(nano_usd IS NULL AND state != 'failed'), 0) FROM call"
        ).fetchone()
        return Spent(*row)

    def sent_since(self, moment: float, model: str) -> int:
        """How many calls to a model were sent since `moment` (seconds since 1970)."""
        return self.store.read(
            "SELECT count(*) FROM call WHERE sent >= ? AND model = ?", moment, model
        ).fetchone()[0]

    def summary(self) -> list[dict[str, Any]]:
        """Counts, tokens and money by model, stage, state and error class.

        `unpriced`: answers without usage; `unknown_cost`: calls that may have cost money, nobody knows how much.
        """
        if not self.store.readonly:
            self.store.flush()
        columns = "model, stage, state, coalesce(error_class, '') AS error_class"
        cursor = self.store.read(
            f"SELECT {columns}, count(*) AS calls, sum(input_tokens) AS input_tokens, "
            "sum(output_tokens) AS output_tokens, "
            "sum(state = 'answered' AND (input_tokens IS NULL OR output_tokens IS NULL)) AS unpriced, "
            "sum(nano_usd) AS nano_usd, sum(nano_usd IS NULL AND state != 'failed') AS unknown_cost "
            "FROM call GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def close(self) -> None:
        """Commit what was entered, close the file and release the lock."""
        self.store.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class NoLedger:
    """Remembers nothing: for callers who need no second run to continue the first."""

    def noted(self, name: str) -> str | None:
        """See `Ledger.noted`."""
        return None

    def note(self, name: str, value: str) -> None:
        """See `Ledger.note`."""

    def answers(self, key: bytes) -> list[bytes]:
        """See `Ledger.answers`."""
        return []

    def ambiguous(self, key: bytes) -> list[tuple[int, float]]:
        """See `Ledger.ambiguous`."""
        return []

    def reserved(self, call: int) -> int:
        """See `Ledger.reserved`."""
        return 0

    def open_batches(self, model: str) -> list[tuple[str, str | None]]:
        """See `Ledger.open_batches`."""
        return []

    def intend(self, key: bytes, **facts: Any) -> int:
        """See `Ledger.intend`."""
        return 0

    async def committed(self) -> None:
        """See `Ledger.committed`."""

    def answer(self, call: int, answer: Answer) -> None:
        """See `Ledger.answer`."""

    def judge(
        self, call: int, usage: Usage, cost: Cost, *, error_class: str | None, finish_reason: str | None
    ) -> None:
        """See `Ledger.judge`."""

    def fail(self, call: int, failure: Failure) -> None:
        """See `Ledger.fail`."""

    def sent_since(self, moment: float, model: str) -> int:
        """See `Ledger.sent_since`."""
        return 0

    def spent(self) -> Spent:
        """See `Ledger.spent`."""
        return Spent()
