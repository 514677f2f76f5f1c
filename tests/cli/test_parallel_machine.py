"""Faults of the machine under ``kcx parallel build``: each is said in one message, none loses or pays what it need not.

Afterwards the same command comes to the end that an undisturbed run has.
"""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from kcx_jax.corpora import read_parallel, write_records
from kcx_jax.parallel import Run
from kcx_jax.testing.llm_server import Limits, ScriptedServer

RECORDS, CONCURRENCY = 60, 4
LATENCY = 0.1  # seconds; so a second is left to befall what is under way
LEDGER = "ledger.db"
FILES = (LEDGER, f"{LEDGER}-wal", f"{LEDGER}.lock")
# A clock that is wrong by so many seconds from the moment that a file is there.
CLOCK = "import os, time; real = time.time; time.time = lambda: real() + {0} * os.path.exists({1!r}); "


pytestmark = pytest.mark.usefixtures("no_endpoint")


class _Build:
    """The command, as often as it takes; `paid` are the answers of earlier servers. There need be `RECORDS`."""

    def __init__(self, folder: Path, pairs, server: ScriptedServer, paid: int = 0):
        self.folder, self.server, self.paid, self._pairs = folder / "run", server, paid, pairs
        records = folder / "in.jsonl"
        write_records((pair.source for pair in pairs), records, overwrite=True)
        self.words = (
            *("parallel", "build", str(records), "--source", "en", "--target", "zh", "--model", "m"),
            *("--run", str(self.folder), "--base-url", server.base_url, "--timeout", "30"),
            *("--concurrency", str(CONCURRENCY)),
        )

    @property
    def answers(self) -> int:
        return self.paid + self.server.bill.answers

    def start(self, *more: str, before: str = "") -> subprocess.Popen:
        program = [sys.executable, "-c", f"{before}from kcx_jax.cli import main; main()", *self.words, *more]
        return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def in_mid_run(self, *more: str, before: str = "") -> subprocess.Popen:
        """Start it, and come back after a third of the answers."""
        child = self.start(*more, before=before)
        while self.server.bill.answers < RECORDS // 3:
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.005)
        return child

    def finish(self, kcx, allowed: int = 0) -> None:
        """Run it to its end: nothing is lost; paid twice was at most what was under way, at most `allowed` calls."""
        code, _, told = kcx(*self.words)
        assert (code, _message(told)) == (0, "")
        with Run.open(self.folder) as run:
            found = {pair.id: (pair.source, pair.target) for pair in run.pairs()}
            interrupted = sum(row["calls"] for row in run.ledger.summary() if row["state"] == "interrupted")
        assert found == {pair.id: (pair.source, pair.target) for pair in self._pairs}
        assert found.keys() == {pair.id for pair in read_parallel(self.folder / "parallel.jsonl")}
        assert RECORDS <= self.answers <= RECORDS + interrupted
        assert interrupted <= allowed


@pytest.fixture(scope="module")
def pairs(numbered):
    return [numbered(n) for n in range(RECORDS)]


def _said(child: subprocess.Popen) -> tuple[int, str]:
    """Exit code and message."""
    _, told = child.communicate(timeout=120)
    return child.returncode, _message(told)


def _message(told: str) -> str:
    """What was wrong: one line, or nothing."""
    assert "Traceback" not in told
    messages = [line for line in told.splitlines() if line.startswith("kcx: ")]
    assert len(messages) <= 1
    return "".join(messages)


@contextmanager
def _mounted(folder: Path, *options: str):
    """`folder` as a mount of its own; skips where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"may not mount: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _tmpfs(folder: Path, options: str):
    return _mounted(folder, "-t", "tmpfs", "-o", options, "tmpfs")


@contextmanager
def _read_only(folder: Path):
    """Root may write whatever the modes say, but not to a read-only mount."""
    if os.geteuid():
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    with _mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield


def _no_larger_files(child: subprocess.Popen, folder: Path) -> None:
    size = (folder / f"{LEDGER}-wal").stat().st_size
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, size))


def _delete_ledger(child: subprocess.Popen, folder: Path) -> None:
    for name in FILES:
        (folder / name).unlink()


def _delete_folder(child: subprocess.Popen, folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("befall", "message"),
    [
        (_no_larger_files, "Free some disk space"),
        (_delete_ledger, "was deleted or replaced"),
        (_delete_folder, "was deleted or replaced"),
    ],
)
def test_a_fault_in_mid_run(kcx, pairs, tmp_path, befall: Callable, message):
    with ScriptedServer(pairs=pairs, latency=LATENCY) as server:
        run = _Build(tmp_path, pairs, server)
        child = run.in_mid_run()
        befall(child, run.folder)
        code, told = _said(child)
        assert code == 1
        assert message in told
        assert str(run.folder) in told
        run.finish(kcx, allowed=CONCURRENCY)


@pytest.mark.slow
def test_a_process_that_is_stopped_for_longer_than_a_request_may_take(kcx, pairs, tmp_path):
    with ScriptedServer(pairs=pairs, latency=LATENCY) as server:
        run = _Build(tmp_path, pairs, server)
        child = run.in_mid_run("--timeout", "4")
        child.send_signal(signal.SIGSTOP)
        time.sleep(6)
        child.send_signal(signal.SIGCONT)
        assert _said(child) == (0, "")
        run.finish(kcx, allowed=CONCURRENCY)


def test_a_ledger_that_was_replaced_is_kept_beside_the_other(kcx, pairs, tmp_path):
    with ScriptedServer(pairs=pairs, latency=LATENCY) as server:
        run = _Build(tmp_path, pairs, server)
        child = run.in_mid_run()
        (tmp_path / "other").write_text("")
        os.replace(tmp_path / "other", run.folder / LEDGER)
        code, told = _said(child)
        (kept,) = run.folder.glob(f"{LEDGER}.kept-*")
        assert code == 1
        assert f"All that it held is in {kept}" in told
        os.replace(kept, run.folder / LEDGER)
        run.finish(kcx, allowed=CONCURRENCY)


def test_a_disk_that_is_full_in_mid_run(kcx, pairs, tmp_path):
    folder = tmp_path / "run"
    with ScriptedServer(pairs=pairs, latency=LATENCY) as server, _tmpfs(folder, "size=16m"):
        run = _Build(tmp_path, pairs, server)
        child = run.in_mid_run()
        with pytest.raises(OSError, match="No space"):
            (folder / "other").write_bytes(bytes(2**25))
        for each in (child, run.start()):  # and still full
            assert _said(each)[0] == 1
        assert server.bill.answers < RECORDS
        (folder / "other").unlink()
        run.finish(kcx, allowed=CONCURRENCY)


@pytest.mark.parametrize("free", [0, 1, 2])
def test_a_disk_that_is_full_when_the_results_are_written(kcx, pairs, tmp_path, free):
    """A file system with room for so many more files than those of the ledger."""
    folder = tmp_path / "run"
    with (
        ScriptedServer(pairs=pairs) as server,
        _tmpfs(folder, f"size=16m,nr_inodes={1 + len(FILES) + 1 + free}"),
    ):
        run = _Build(tmp_path, pairs, server)
        code, _, told = kcx(*run.words)
        assert code == 1
        name = ("parallel.jsonl", "unresolved.jsonl", "statistics.json")[free]
        assert f"cannot write {folder / name}: No space left on device" in told
        assert not list(folder.glob("*.partial"))
        subprocess.run(["mount", "-o", "remount,nr_inodes=100", str(folder)], check=True)
        run.finish(kcx)


def test_a_folder_that_becomes_read_only_in_mid_run(kcx, pairs, tmp_path):
    with ScriptedServer(pairs=pairs, latency=LATENCY) as server:
        run = _Build(tmp_path, pairs, server)
        child = run.in_mid_run()
        kept = [str(run.folder), *(str(run.folder / name) for name in FILES)]
        frozen = subprocess.run(["chattr", "+i", *kept], capture_output=True, check=False).returncode == 0
        code, told = _said(child)
        if not frozen:
            pytest.skip("needs chattr +i")
        subprocess.run(["chattr", "-i", *kept], check=True)
        assert code == 1
        assert f"cannot use the ledger {run.folder / LEDGER}" in told
        run.finish(kcx, allowed=CONCURRENCY)


@pytest.mark.parametrize("started", [False, True])
def test_a_folder_that_is_read_only_from_the_start(kcx, pairs, tmp_path, started):
    with ScriptedServer(pairs=pairs, latency=LATENCY) as server:
        run = _Build(tmp_path, pairs, server)
        run.folder.mkdir()
        if started:
            child = run.in_mid_run()
            child.send_signal(signal.SIGINT)
            assert _said(child)[0] == 130
        paid = server.bill.answers
        with _read_only(run.folder):
            code, _, told = kcx(*run.words)
        assert code == 1
        assert f"cannot open the ledger {run.folder / LEDGER}" in told
        assert "a folder on a local disk that can be written" in told
        assert server.bill.answers == paid
        run.finish(kcx)


def test_a_key_that_expires_in_mid_run_and_another_one(kcx, pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with ScriptedServer(pairs=pairs, api_key="k", key_expires_after=20, latency=LATENCY) as server:
        run = _Build(tmp_path, pairs, server)
        for _ in range(2):
            code, _, told = kcx(*run.words)
            assert code == 1
            assert "Check the key" in _message(told)
        server.key_expires_after = None
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        assert kcx(*run.words)[0] == 1
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        run.finish(kcx)


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_neither_stalls_nor_hastens_a_run(kcx, pairs, tmp_path, jump):
    """20 requests a second, of which a second's worth at once; some are told when to come again, as a date."""
    limits = Limits(requests=41, minute=1.0)
    faults = {"retry_after_date": 0.1}
    with ScriptedServer(pairs=pairs, faults=faults, seed=1, limits=limits) as server:
        run = _Build(tmp_path, pairs, server)
        there = tmp_path / "jumped"
        child = run.in_mid_run("--requests-per-minute", "1200", before=CLOCK.format(jump, str(there)))
        there.touch()
        assert _said(child) == (0, "")
        assert server.bill.violations == 0
        assert server.bill.faults["retry_after_date"] > 2
        run.finish(kcx)


@pytest.mark.slow
def test_the_requests_of_a_day_are_counted_across_a_clock_that_jumps(kcx, pairs, tmp_path):
    with ScriptedServer(pairs=pairs) as server:
        run = _Build(tmp_path, pairs, server)
        for hours, code in ((0, 3), (-1, 3), (1, 3), (25, 0)):
            before = CLOCK.format(3600 * hours, str(tmp_path))
            assert _said(run.start("--requests-per-day", "40", before=before))[0] == code
            assert server.bill.answers == (RECORDS if code == 0 else 40)
        run.finish(kcx)


def _overwrite(name: str, at: int, count: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with (folder / name).open("r+b") as handle:
            handle.seek(at)
            handle.write(b"\xff" * count)

    return damage


def _as_a_later_version(folder: Path) -> None:
    with closing(sqlite3.connect(folder / LEDGER)) as db:
        db.execute("PRAGMA user_version = 99")


WAL = f"{LEDGER}-wal"
DAMAGE = {
    "header": (signal.SIGINT, _overwrite(LEDGER, 0, 100), "not a database"),
    "page": (signal.SIGINT, _overwrite(LEDGER, 8 * 4096, 4096), "it is damaged"),
    "log": (
        signal.SIGKILL,
        _overwrite(WAL, 32 + 4 * (24 + 4096) + 24, 1),
        f"{WAL} holds what cannot be read",
    ),
    "header of the log": (signal.SIGKILL, _overwrite(WAL, 20, 1), f"{WAL} holds what cannot be read"),
    "version": (signal.SIGINT, _as_a_later_version, "is a ledger of version 99"),
}


@pytest.fixture(scope="module")
def stopped(pairs, tmp_path_factory):
    """Runs that were ended by a signal: folder, and what was paid."""
    made = {}
    for end in (signal.SIGINT, signal.SIGKILL):
        folder = tmp_path_factory.mktemp("stopped")
        with ScriptedServer(pairs=pairs, latency=LATENCY) as server:
            child = _Build(folder, pairs, server).in_mid_run()
            child.send_signal(end)
            _said(child)
            made[end] = folder / "run", server.bill.answers
    return made


@pytest.mark.parametrize("what", DAMAGE)
def test_a_ledger_that_cannot_be_trusted_is_refused_and_left_alone(kcx, pairs, stopped, tmp_path, what):
    """Put back as it was, it goes on."""
    end, damage, message = DAMAGE[what]
    folder, paid = stopped[end]
    shutil.copytree(folder, tmp_path / "run")
    damage(tmp_path / "run")
    before = _content(tmp_path / "run")
    with ScriptedServer(pairs=pairs) as server:
        run = _Build(tmp_path, pairs, server, paid)
        code, _, told = kcx(*run.words)
        assert code == 1
        assert f"{run.folder / LEDGER}" in told
        assert message in _message(told)
        assert (_content(run.folder), server.bill.requests) == (before, 0)
        shutil.rmtree(run.folder)
        shutil.copytree(folder, run.folder)
        run.finish(kcx, allowed=CONCURRENCY if end == signal.SIGKILL else 0)


def _content(folder: Path) -> dict[str, bytes]:
    return {
        name: data for name in FILES if (folder / name).exists() if (data := (folder / name).read_bytes())
    }
