"""The store: groups are committed whole, a full or damaged disk is said once and for all, old files are kept."""

import asyncio
import sqlite3
import subprocess
import sys
import threading

import pytest

from kcx_jax.errors import KcxError
from kcx_jax.llm import Ledger
from kcx_jax.llm import store as store_module
from kcx_jax.llm.store import Store
from kcx_jax.llm.transport import Answer

TABLE = "CREATE TABLE number (value INTEGER NOT NULL);"
PUT = "INSERT INTO number VALUES (?)"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "s.db", TABLE, 1, {})
    yield store
    store.close()


def _values(path) -> list[int]:
    with sqlite3.connect(path) as db:
        return [row[0] for row in db.execute("SELECT value FROM number ORDER BY value")]


def test_what_was_awaited_is_seen_by_others_and_many_waiters_share_a_commit(store, monkeypatch):
    monkeypatch.setattr(store_module, "LINGER", 0.05)
    begins = []

    async def put(i: int) -> None:
        store.write(PUT, i)
        await store.committed()
        assert i in _values(store.path)

    async def run() -> None:
        store.change(lambda db: db.set_trace_callback(lambda sql: begins.append(sql)))
        await asyncio.gather(*map(put, range(200)))

    asyncio.run(run())
    assert _values(store.path) == list(range(200))
    assert sum(sql.startswith("BEGIN") for sql in begins) < 20


def test_threads_may_write_at_once(store):
    def put(first: int) -> None:
        for i in range(first, first + 100):
            store.write(PUT, i)
        store.flush()

    threads = [threading.Thread(target=put, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _values(store.path) == list(range(400))


def test_a_change_that_fails_leaves_nothing_and_the_rest_stands(store):
    def fail(db) -> None:
        db.execute(PUT, (2,))
        raise KcxError("no good")

    store.write(PUT, 1)
    with pytest.raises(KcxError, match="no good"):
        store.change(fail)
    store.write(PUT, 3)
    store.flush()
    assert _values(store.path) == [1, 3]


def test_a_full_disk_reaches_every_waiter_and_everyone_later(store):
    store.change(lambda db: db.execute("PRAGMA max_page_count = 2"))

    async def run() -> list:
        store.write(PUT, "x" * 100_000)
        return await asyncio.gather(*(store.committed() for _ in range(3)), return_exceptions=True)

    assert ["full" in str(error) for error in asyncio.run(run())] == [True] * 3
    with pytest.raises(KcxError, match="full"):
        store.write(PUT, 1)
    with pytest.raises(KcxError, match="full"):
        asyncio.run(store.committed())
    store.close()
    assert _values(store.path) == []


def test_closing_commits_what_is_queued(tmp_path):
    store = Store(tmp_path / "s.db", TABLE, 1, {})
    for i in range(1000):
        store.write(PUT, i)
    store.close()
    assert _values(tmp_path / "s.db") == list(range(1000))


def test_a_killed_process_loses_nothing_that_was_committed(tmp_path):
    code = f"""
import os
from pathlib import Path
from kcx_jax.llm.store import Store
store = Store(Path({str(tmp_path / "s.db")!r}), {TABLE!r}, 1, {{}})
for i in range(50):
    store.write({PUT!r}, i)
store.flush()
store.write({PUT!r}, 99)
os._exit(137)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 137
    assert _values(tmp_path / "s.db")[:50] == list(range(50))
    Store(tmp_path / "s.db", TABLE, 1, {}).close()


def test_a_damaged_page_is_found_on_opening(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        for i in range(200):
            call = ledger.intend(b"k", stage="s", record=str(i), model="m", request="x" * 500)
            ledger.answer(call, Answer(b"y" * 500, 200, None))
    with path.open("r+b") as handle:
        handle.seek(8 * 4096)
        handle.write(b"\xff" * 4096)
    damaged = path.read_bytes()
    with pytest.raises(KcxError, match=r"ledger\.db: it is damaged"):
        Ledger(path)
    assert path.read_bytes() == damaged


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    mounts = f"22 1 0:20 / / rw - ext4 /dev/vda rw\n23 22 0:21 / {tmp_path} rw - nfs4 server:/home rw\n"
    real = store_module.Path.read_text
    monkeypatch.setattr(
        store_module.Path,
        "read_text",
        lambda self, *a, **k: mounts if str(self) == "/proc/self/mountinfo" else real(self, *a, **k),
    )
    with pytest.raises(KcxError, match=r"network file system \(nfs4 at"):
        Store(tmp_path / "run" / "s.db", TABLE, 1, {})
    Store(tmp_path.parent / f"{tmp_path.name}-beside.db", TABLE, 1, {}).close()


VERSION_1 = """
CREATE TABLE run (id INTEGER PRIMARY KEY, config TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE call (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, stage TEXT NOT NULL, record TEXT NOT NULL, model TEXT NOT NULL,
    request TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('intent', 'answered', 'failed', 'interrupted')),
    http_status INTEGER, request_id TEXT, error_class TEXT, reply BLOB, finish_reason TEXT,
    input_tokens INTEGER, output_tokens INTEGER, sent REAL NOT NULL, done REAL
);
CREATE INDEX call_by_key ON call (key);
INSERT INTO call VALUES (1, x'6b', 's', 'r', 'm', '{}', 'answered', 200, NULL, NULL, x'7b7d', 'stop', 5, 3, 1.0, 2.0);
PRAGMA user_version = 1;
"""


def test_a_ledger_of_the_first_version_is_brought_up_to_date_with_all_it_holds(tmp_path):
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
    with pytest.raises(KcxError, match="version 1, this program reads 3"):
        Ledger(path, readonly=True)
    with Ledger(path) as ledger:
        assert ledger.answers(b"k") == [b"{}"]
        assert ledger.intend(b"k", stage="s", record="r", model="m", request="{}") == 2
        new = _columns(ledger.path)
    Ledger(tmp_path / "fresh.db").close()
    assert new == _columns(tmp_path / "fresh.db")


def _columns(path) -> dict[str, set]:
    with sqlite3.connect(path) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {row[1:4] for row in db.execute(f"PRAGMA table_info({name})")} for name in tables}
