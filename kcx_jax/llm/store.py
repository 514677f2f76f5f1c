"""One SQLite file with one writer: rows are queued, and committed together a few milliseconds later.

Committed rows survive a killed process (the write-ahead log needs no more than the operating system to live
on). A commit a row would cost a disk access each; a group of them costs one.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from kcx_jax.errors import KcxError
from kcx_jax.llm.wal import commits_are_lost

# Seconds that the first row of a group waits for others.
LINGER = 0.004
# The write-ahead log needs memory shared between processes, which these do not give.
NETWORK_FILES = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs")

Statement = tuple[str, tuple[Any, ...]]
Change = Callable[[sqlite3.Connection], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Migration:
    """How a file of one version becomes one of the next: SQL, then what SQL alone cannot do."""

    sql: str
    rework: Change | None = None


class Store:
    """The file at `path`, made with `tables` (SQL) when absent, brought to `version` by `migrations`.

    A writer holds a lock until `close` or its end; a second one is refused with `KcxError`, as are a damaged
    file, a folder that cannot be written and one on a network file system. With ``readonly=True`` nothing is
    locked, and the file has to be there. Reads see what is committed.
    """

    def __init__(
        self,
        path: Path,
        tables: str,
        version: int,
        migrations: Mapping[int, Migration],
        readonly: bool = False,
    ):
        self.path, self.readonly = path, readonly
        self._lock: int | None = None
        self._writer: threading.Thread | None = None
        self._condition = threading.Condition()
        self._queue: list[Statement | Change] = []
        self._waiting: list[asyncio.Future[None] | Future[None]] = []
        self._broken: KcxError | None = None
        self._closing = False
        self._committing = False
        with self._guard():
            if not readonly:
                path.parent.mkdir(parents=True, exist_ok=True)
                _refuse_network_files(path)
                self._take_lock()
            try:
                self._open(tables, version, migrations)
            except BaseException:
                self.close()
                raise

    def _open(self, tables: str, version: int, migrations: Mapping[int, Migration]) -> None:
        found = self._look(version) if self.readonly or self.path.exists() else 0
        if self.readonly:
            return
        self._db = self._connect("rwc")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # safe against a killed process, not a power cut
        if found == 0:
            self._db.executescript(f"BEGIN; {tables} PRAGMA user_version = {version}; COMMIT;")
        for step in range(found or version, version):
            self._migrate(step, migrations[step])
        self._file = os.stat(self.path)
        self._out = self._connect("rwc")
        self._out.execute("PRAGMA synchronous = NORMAL")
        self._writer = threading.Thread(target=self._work, name="kcx-ledger", daemon=True)
        self._writer.start()

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        # Read and closed by whichever thread runs the event loop; never two at once.
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    def _look(self, version: int) -> int:
        """The version of the file, which is left alone: a connection that may write changes it when it closes."""
        self._db = self._connect("ro")
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if not self.readonly and commits_are_lost(self.path):
            raise sqlite3.DatabaseError(f"it is damaged ({self.path.name}-wal holds what cannot be read)")
        if found > version or (self.readonly and found != version):
            raise KcxError(
                f"{self.path} is a ledger of version {found}, this program reads {version}. "
                f"{'Continue its run once, which brings it up to date' if found < version else 'Update kcx_jax'}; "
                "nothing was changed."
            )
        if self.readonly:
            return found
        if found and (fault := self._db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(f"it is damaged ({fault.splitlines()[-1]})")
        self._db.close()
        return found

    def _migrate(self, version: int, migration: Migration) -> None:
        self._db.executescript(f"BEGIN; {migration.sql}")
        if migration.rework is not None:
            migration.rework(self._db)
        self._db.execute(f"PRAGMA user_version = {version + 1}")
        self._db.execute("COMMIT")

    def read(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Rows of what is committed."""
        with self._guard():
            return self._db.execute(sql, values)

    def write(self, sql: str, *values: Any) -> None:
        """Queue one statement; it is on disk once `committed` or `flush` returns. Until then another kind of
        statement may overtake it."""
        self._put((sql, values))

    def change(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` with the writer's connection, after what is queued, in one transaction; blocks."""
        result: list[T] = []
        failed: list[BaseException] = []

        def run(db: sqlite3.Connection) -> None:
            try:
                db.execute("SAVEPOINT change")
                result.append(function(db))
            except sqlite3.Error:
                raise
            except BaseException as error:
                db.execute("ROLLBACK TO change")
                failed.append(error)

        self._put(run)
        self.flush()
        if failed:
            raise failed[0]
        return result[0]

    async def committed(self) -> None:
        """Wait until everything written so far is on disk; `KcxError` when it cannot be."""
        with self._condition:
            if self._broken is None and not (self._queue or self._waiting or self._committing):
                return
            future = asyncio.get_running_loop().create_future()
            self._wait_for(future)
        await future

    def flush(self) -> None:
        """As `committed`, for callers without an event loop."""
        future: Future[None] = Future()
        with self._condition:
            self._wait_for(future)
        future.result()

    def _wait_for(self, future: "asyncio.Future[None] | Future[None]") -> None:
        if self._broken is not None:
            raise self._broken
        self._waiting.append(future)
        self._condition.notify()

    def _put(self, item: Statement | Change) -> None:
        with self._condition:
            if self._broken is not None:
                raise self._broken
            self._queue.append(item)
            if len(self._queue) == 1:
                self._condition.notify()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not (self._queue or self._waiting or self._closing):
                    self._condition.wait()
                if self._closing and not (self._queue or self._waiting):
                    return
            if not self._closing:
                time.sleep(LINGER)
            with self._condition:
                queue, self._queue = self._queue, []
                waiting, self._waiting = self._waiting, []
                self._committing = True
            error = self._commit(queue)
            with self._condition:
                self._committing = False
                if error is not None:  # whoever came meanwhile learns of it too
                    self._broken = error
                    waiting += self._waiting
                    self._queue, self._waiting = [], []
            _wake(waiting, error)

    def _commit(self, queue: list[Statement | Change]) -> KcxError | None:
        try:
            with self._guard():
                self._out.execute("BEGIN IMMEDIATE")
                for run in _runs(queue):
                    run(self._out)
                self._out.execute("COMMIT")
                self._check_place()
        except KcxError as error:
            with contextlib.suppress(sqlite3.Error):
                self._out.execute("ROLLBACK")
            return error
        return None

    def _check_place(self) -> None:
        """Raise when the file was deleted or replaced: what is written to it would be gone with this process."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self.path), self._file):
                return
        place = self.path
        if place.exists():
            place = place.with_name(f"{place.name}.kept-{os.getpid()}")
        place.parent.mkdir(parents=True, exist_ok=True)
        for ending in ("-wal", "-shm"):  # of the deleted file; no part of the new one
            Path(f"{place}{ending}").unlink(missing_ok=True)
        self._out.execute("VACUUM INTO ?", (str(place),))
        raise KcxError(
            f"the ledger {self.path} was deleted or replaced while it was in use. All that it held is in {place}: "
            f"with that as {self.path.name} the same command goes on from here."
        )

    def close(self) -> None:
        """Commit what is queued, close the file and release the lock."""
        if self._writer is not None:
            with self._condition:
                self._closing = True
                self._condition.notify()
            self._writer.join()
            self._out.close()
            self._writer = None
        if hasattr(self, "_db"):
            self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

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
                "permissions, or (if the file is damaged) put back a copy or start a new run; what was committed "
                "is kept."
            ) from error
        except OSError as error:
            raise KcxError(
                f"cannot open the ledger {self.path}: {error.strerror or error}. It needs a folder on a local disk "
                "that can be written."
            ) from error


def _runs(queue: list[Statement | Change]) -> Iterator[Change]:
    """The queue in as few calls as may be: equal statements together, in the place of the first of them.

    A statement may so be carried out before another kind that was written earlier; who needs the order waits for
    `committed` in between, as everyone does who builds on what was written. Functions stay in their place.
    """
    alike: dict[str, list[tuple[Any, ...]]] = {}
    for item in queue:
        if not callable(item):
            alike.setdefault(item[0], []).append(item[1])
            continue
        yield from (partial(_many, sql, rows) for sql, rows in alike.items())
        alike = {}
        yield item
    yield from (partial(_many, sql, rows) for sql, rows in alike.items())


def _many(sql: str, rows: list[tuple[Any, ...]], db: sqlite3.Connection) -> None:
    db.executemany(sql, rows)


def _wake(waiting: "list[asyncio.Future[None] | Future[None]]", error: KcxError | None) -> None:
    """Tell all who wait; the futures of one event loop in one call, since each call wakes the loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in waiting:
        if isinstance(future, Future):
            _settle(future, error)
        else:
            by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle_all, futures, error)


def _settle_all(futures: "list[asyncio.Future[None]]", error: KcxError | None) -> None:
    for future in futures:
        _settle(future, error)


def _settle(future: "asyncio.Future[None] | Future[None]", error: KcxError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _refuse_network_files(path: Path) -> None:
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return  # not Linux: nothing to tell it by
    folder, best, kind = str(path.parent.resolve()), "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split(" ")[4].replace("\\040", " ")
        inside = mount == "/" or folder == mount or folder.startswith(f"{mount}/")
        if inside and len(mount) >= len(best):
            best, kind = mount, after.split(" ")[0]
    if kind in NETWORK_FILES:
        raise KcxError(
            f"{path} lies on a network file system ({kind} at {best}), where a ledger is not safe. "
            "Keep the run on a local disk, and copy it afterwards."
        )
