"""The store: groups are committed whole, a full or damaged disk is said once and for all, old files are kept."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_what_is_written_in_a_commit_that_still_runs_is_waited_for(store, monkeypatch):
    begun, go_on, commit = threading.Event(), threading.Event(), store._commit

    def slow(queue):
        if queue:
            begun.set()
            assert go_on.wait(10)
        return commit(queue)

    async def run() -> None:
        store.write(PUT, 1)
        await asyncio.to_thread(begun.wait)
        waiting = asyncio.ensure_future(store.committed())
        await asyncio.sleep(0.05)
        early = waiting.done()
        go_on.set()
        await waiting
        assert (early, _values(store.path)) == (False, [1])

    monkeypatch.setattr(store, "_commit", slow)
    asyncio.run(run())


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
            call = ledger.intend(b"k", stage="s", record=str(i), model="m", request=os.urandom(250).hex())
            ledger.answer(call, Answer(os.urandom(500), 200, None))
    with path.open("r+b") as handle:
        handle.seek(8 * 4096)
        handle.write(b"\xff" * 4096)
    damaged = path.read_bytes()
    with pytest.raises(KcxError, match=r"ledger\.db: it is damaged"):
        Ledger(path)
    assert path.read_bytes() == damaged


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A file with nine commits in its log, as a killed process leaves it, and where the frames of each commit begin."""
    path, starts = tmp_path_factory.mktemp("log") / "s.db", []
    store = Store(path, TABLE, 1, {})
    for i in range(8):
        starts.append(path.with_name("s.db-wal").stat().st_size)
        store.write(PUT, i)
        store.flush()
    files = {name: path.with_name(name).read_bytes() for name in ("s.db", "s.db-wal")}
    store.close()
    return files, starts


def _left(folder, log: bytes, files) -> Path:
    for name, content in (files | {"s.db-wal": log}).items():
        (folder / name).write_bytes(content)
    (folder / "s.db-shm").unlink(missing_ok=True)
    return folder / "s.db"


@given(st.data())
def test_a_log_that_was_cut_short_is_what_a_killed_process_leaves(log, tmp_path_factory, data):
    files, _ = log
    cut = data.draw(st.integers(32, len(files["s.db-wal"])))
    path = _left(tmp_path_factory.mktemp("cut"), files["s.db-wal"][:cut], files)
    Store(path, TABLE, 1, {}).close()
    values = _values(path)
    assert values == list(range(len(values)))


@given(st.data())
def test_a_changed_byte_before_the_last_commit_of_a_log_is_found_and_nothing_is_touched(
    log, tmp_path_factory, data
):
    files, starts = log
    damaged = bytearray(files["s.db-wal"])
    damaged[data.draw(st.integers(0, starts[-1] - 1))] ^= data.draw(st.integers(1, 255))
    path = _left(tmp_path_factory.mktemp("damaged"), bytes(damaged), files)
    with pytest.raises(KcxError, match=r"s\.db-wal holds what cannot be read"):
        Store(path, TABLE, 1, {})
    assert path.with_name("s.db-wal").read_bytes() == damaged
    assert path.read_bytes() == files["s.db"]


def test_a_file_that_is_deleted_while_it_is_open_is_written_back_whole(tmp_path):
    path = tmp_path / "s.db"
    store = Store(path, TABLE, 1, {})
    store.write(PUT, 1)
    store.flush()
    path.unlink()
    store.write(PUT, 2)
    with pytest.raises(KcxError, match=r"All that it held is in .*s\.db:"):
        store.flush()
    store.close()
    assert _values(path) == [1, 2]
    Store(path, TABLE, 1, {}).close()


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
INSERT INTO call VALUES
    (1, x'6b', 's', 'r', 'm', '{"a": "李"}', 'answered', 200, NULL, NULL, x'7b7d', 'stop', 5, 3, 1.0, 2.0),
    (2, x'6b', 's', 'r', 'm', '{"a": "白"}', 'failed', 500, 'q', 'server', x'ff00', NULL, NULL, NULL, 1.0, 2.0),
    (3, x'6c', 't', 'r', 'm', '{}', 'interrupted', NULL, NULL, 'timeout', NULL, NULL, NULL, NULL, 1.0, NULL);
PRAGMA user_version = 1;
"""
TO_VERSION_2 = """
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sample (
    id TEXT NOT NULL, target TEXT NOT NULL, position INTEGER NOT NULL, filled INTEGER NOT NULL,
    digest BLOB NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL, outcome TEXT, UNIQUE (id, target)
);
CREATE INDEX sample_by_position ON sample (filled, position);
CREATE TABLE batch (
    key TEXT PRIMARY KEY, model TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('creating', 'uploaded', 'created', 'collected')),
    file_id TEXT, batch_id TEXT, calls INTEGER NOT NULL, usage TEXT, created REAL NOT NULL
);
CREATE TABLE review (
    id TEXT NOT NULL, target TEXT NOT NULL, annotator TEXT NOT NULL, decided TEXT NOT NULL, decision TEXT NOT NULL
);
ALTER TABLE call ADD COLUMN batch TEXT;
ALTER TABLE call ADD COLUMN cached_tokens INTEGER;
ALTER TABLE call ADD COLUMN reasoning_tokens INTEGER;
ALTER TABLE call ADD COLUMN nano_usd INTEGER;
ALTER TABLE call ADD COLUMN reserved_nano_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE call ADD COLUMN price TEXT;
UPDATE call SET nano_usd = 7, price = 'p';
INSERT INTO note VALUES ('n', 'v');
INSERT INTO batch VALUES ('b', 'm', 'created', 'f', 'i', 2, NULL, 1.0);
INSERT INTO review VALUES ('r', 'zh', 'w', 'd', '{}');
INSERT INTO sample VALUES ('r', 'zh', 0, 1, x'00', '{"text": "李"}', 'pair', '{"pair": null}'),
    ('q', 'zh', 1, 1, x'01', '{"text": "白"}', 'pending', NULL);
PRAGMA user_version = 2;
"""
TEXTS = {("call", "request"), ("call", "reply"), ("sample", "source"), ("sample", "outcome")}


@pytest.mark.parametrize(("version", "script"), [(1, VERSION_1), (2, VERSION_1 + TO_VERSION_2)])
def test_a_ledger_of_an_older_version_is_brought_up_to_date_with_all_it_holds(tmp_path, version, script):
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as db:
        db.executescript(script)
    before = _rows(path)
    with pytest.raises(KcxError, match=f"version {version}, this program reads 3"):
        Ledger(path, readonly=True)
    with Ledger(path) as ledger:
        after = {
            place: ledger.packing.unpack(value) if place[0::2] in TEXTS and value is not None else value
            for place, value in _rows(path).items()
        }
        assert before.items() <= after.items()
        assert ledger.answers(b"k") == [b"{}"]
        assert ledger.intend(b"k", stage="s", record="r", model="m", request="{}") == 4
        new = _columns(ledger.path)
    Ledger(tmp_path / "fresh.db").close()
    assert new == _columns(tmp_path / "fresh.db")


def test_a_ledger_that_cannot_be_brought_up_to_date_stays_as_it_was(tmp_path):
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1 + TO_VERSION_2)
        db.execute("CREATE TABLE pattern (somebody TEXT)")  # in the way of ours
    before = _rows(path)
    with pytest.raises(KcxError, match=r"ledger\.db: table pattern already exists"):
        Ledger(path)
    assert _rows(path) == before


def _rows(path) -> dict[tuple, object]:
    """Every value by table, rowid or key, and column; texts as bytes."""
    found: dict[tuple, object] = {}
    with sqlite3.connect(path) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            cursor = db.execute(f"SELECT * FROM {table}")
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    text = (table, column) in TEXTS and isinstance(value, str)
                    found[table, row[0], column] = value.encode() if text else value
    return found


def _columns(path) -> dict[str, set]:
    with sqlite3.connect(path) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {row[1:4] for row in db.execute(f"PRAGMA table_info({name})")} for name in tables}
