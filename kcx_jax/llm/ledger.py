"""The ledger: every request to a model and every reply, on disk before anything is made of it.

One SQLite file. A call is entered as ``intent`` before it is sent and becomes ``answered`` (a body came back,
so it may have cost money), ``failed`` (the endpoint said no) or ``interrupted`` (nobody knows: a time-out, a
lost connection, a killed process). Committed rows survive a killed process; one process at a time may write.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.errors import KcxError
from kcx_jax.llm.reply import Usage
from kcx_jax.llm.retry import Failure
from kcx_jax.llm.transport import Answer

VERSION = 1
TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    config TEXT NOT NULL,         -- canonical JSON
    created REAL NOT NULL         -- seconds since 1970
);
CREATE TABLE call (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,            -- digest of the request: the same request has the same key
    stage TEXT NOT NULL,
    record TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,        -- the JSON body as sent
    state TEXT NOT NULL CHECK (state IN ('intent', 'answered', 'failed', 'interrupted')),
    http_status INTEGER,
    request_id TEXT,
    error_class TEXT,
    reply BLOB,                   -- the raw body
    finish_reason TEXT,
    input_tokens INTEGER,         -- NULL: the endpoint did not say
    output_tokens INTEGER,
    sent REAL NOT NULL,
    done REAL
);
CREATE INDEX call_by_key ON call (key);
"""


class Ledger:
    """The calls of one run, in the SQLite file at `path` (made when absent).

    A writer holds a lock until `close` or its end; a second one is refused with `KcxError`, as are a file
    that is no ledger and a folder that cannot be written. With ``readonly=True`` nothing is locked.
    """

    def __init__(self, path: str | Path, readonly: bool = False):
        self.path = Path(path)
        self._lock: int | None = None
        if readonly and not self.path.exists():
            raise KcxError(f"no ledger at {self.path}. A run's folder holds ledger.db once it was started.")
        with self._guard():
            if not readonly:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            try:
                self._open(readonly)
            except BaseException:
                self.close()
                raise

    def _open(self, readonly: bool) -> None:
        uri = f"{self.path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        # The blocking entries run their event loop in a thread of its own; never two threads at once.
        self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise KcxError(f"{self.path} is a ledger of version {version}, this program reads {VERSION}")
        if readonly:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # safe against a killed process, not a power cut
        if version == 0:
            self._db.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        self._db.execute(
            "UPDATE call SET state = 'interrupted', error_class = 'killed' WHERE state = 'intent'"
        )

    def _take_lock(self) -> None:
        self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released by the kernel, even on kill -9
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise KcxError(
                f"another process is working on {self.path}. Wait for it, or stop it; nothing was changed."
            ) from None

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise KcxError(
                f"cannot use the ledger {self.path}: {error}. Free some disk space, check the folder's "
                "permissions, or (if the file is damaged) start a new run; what was committed is kept."
            ) from error
        except OSError as error:
            raise KcxError(f"cannot open the ledger {self.path}: {error.strerror or error}") from error

    def _run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        with self._guard():
            return self._db.execute(sql, values)

    def start_run(self, config: dict[str, Any]) -> None:
        """Note the configuration of a run, if it is not the one noted last."""
        if self.run_config() != config:
            text = json.dumps(config, ensure_ascii=False, sort_keys=True)
            self._run("INSERT INTO run (config, created) VALUES (?, ?)", text, time.time())

    def run_config(self) -> dict[str, Any] | None:
        """The configuration noted last, or None."""
        row = self._run("SELECT config FROM run ORDER BY id DESC LIMIT 1").fetchone()
        return json.loads(row[0]) if row else None

    def answers(self, key: bytes) -> list[bytes]:
        """The raw bodies that came back for the request `key`, oldest first."""
        rows = self._run("SELECT reply FROM call WHERE key = ? AND state = 'answered' ORDER BY id", key)
        return [row[0] for row in rows]

    def intend(self, key: bytes, *, stage: str, record: str, model: str, request: str) -> int:
        """Enter a call before it is sent; returns its number."""
        cursor = self._run(
            "INSERT INTO call (key, stage, record, model, request, state, sent) "
            "VALUES (?, ?, ?, ?, ?, 'intent', ?)",
            *(key, stage, record, model, request, time.time()),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def answer(self, call: int, answer: Answer) -> None:
        """Keep the raw body of a reply, before anyone reads it."""
        self._run(
            "UPDATE call SET state = 'answered', reply = ?, http_status = ?, request_id = ?, done = ? "
            "WHERE id = ?",
            *(answer.body, answer.http_status, answer.request_id, time.time(), call),
        )

    def judge(self, call: int, usage: Usage, *, error_class: str | None, finish_reason: str | None) -> None:
        """Note what reading an answered call's body gave."""
        self._run(
            "UPDATE call SET error_class = ?, finish_reason = ?, input_tokens = ?, output_tokens = ? "
            "WHERE id = ?",
            *(error_class, finish_reason, usage.input_tokens, usage.output_tokens, call),
        )

    def fail(self, call: int, failure: Failure) -> None:
        """Note that a call gave no answer."""
        state = "interrupted" if failure.interrupted else "failed"
        self._run(
            "UPDATE call SET state = ?, error_class = ?, http_status = ?, request_id = ?, reply = ?, "
            "done = ? WHERE id = ?",
            *(state, failure.error_class, failure.http_status, failure.request_id, failure.body),
            *(time.time(), call),
        )

    def summary(self) -> list[dict[str, Any]]:
        """Counts and tokens by model, stage, state and error class; `unpriced`: answers without usage."""
        columns = "model, stage, state, coalesce(error_class, '') AS error_class"
        cursor = self._run(
            f"SELECT {columns}, count(*) AS calls, sum(input_tokens) AS input_tokens, "
            "sum(output_tokens) AS output_tokens, "
            "sum(state = 'answered' AND (input_tokens IS NULL OR output_tokens IS NULL)) AS unpriced "
            "FROM call GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def close(self) -> None:
        """Close the file and release the lock."""
        if hasattr(self, "_db"):
            self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class NoLedger:
    """Remembers nothing: for callers who need no second run to continue the first."""

    def answers(self, key: bytes) -> list[bytes]:
        """See `Ledger.answers`."""
        return []

    def intend(self, key: bytes, *, stage: str, record: str, model: str, request: str) -> int:
        """See `Ledger.intend`."""
        return 0

    def answer(self, call: int, answer: Answer) -> None:
        """See `Ledger.answer`."""

    def judge(self, call: int, usage: Usage, *, error_class: str | None, finish_reason: str | None) -> None:
        """See `Ledger.judge`."""

    def fail(self, call: int, failure: Failure) -> None:
        """See `Ledger.fail`."""
