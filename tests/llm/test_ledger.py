"""The ledger: what is committed is there, one writer at a time, and a clear word for whatever is wrong."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from kcx_jax.errors import KcxError
from kcx_jax.llm import Cost, Ledger, Usage
from kcx_jax.llm.retry import QUOTA, TIMEOUT, Failure
from kcx_jax.llm.transport import Answer

KEY = b"k" * 16


def _intend(ledger: Ledger, key: bytes = KEY) -> int:
    return ledger.intend(key, stage="translate", record="r1", model="m", request="{}")


def _states(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {(row["state"], row["error_class"]): row["calls"] for row in ledger.summary()}


def test_raw_answers_come_back_in_order_and_only_answers(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for body in (b"{broken", b"{}"):
            ledger.answer(_intend(ledger), Answer(body, 200, "req_1"))
        ledger.fail(_intend(ledger), Failure(QUOTA, "no money", 429, body=b"no money"))
        ledger.answer(_intend(ledger, b"other"), Answer(b"x", 200, None))
        _intend(ledger)
        ledger.store.flush()
        assert ledger.answers(KEY) == [b"{broken", b"{}"]
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.answers(KEY) == [b"{broken", b"{}"]


def test_threads_enter_calls_side_by_side(tmp_path):
    threads, interval = range(4), sys.getswitchinterval()
    calls = {thread: [] for thread in threads}

    def enter(thread: int) -> None:
        for number in range(100):
            facts = {"stage": f"stage {number}", "record": "r", "model": "m"}
            calls[thread].append(ledger.intend(KEY, request=f"{thread} {number} " * 3000, **facts))

    with Ledger(tmp_path / "ledger.db") as ledger:
        sys.setswitchinterval(1e-6)
        try:
            running = [threading.Thread(target=enter, args=[thread]) for thread in threads]
            for each in running:
                each.start()
            for each in running:
                each.join()
        finally:
            sys.setswitchinterval(interval)
        ledger.store.flush()
        assert sorted(call for entered in calls.values() for call in entered) == list(range(1, 401))
    with Ledger(tmp_path / "ledger.db") as ledger:
        rows = ledger.store.read("SELECT id, request FROM call").fetchall()
        found = {call: ledger.packing.unpack(request).decode() for call, request in rows}
    assert found == {
        call: f"{thread} {number} " * 3000 for thread in threads for number, call in enumerate(calls[thread])
    }


def test_a_call_without_an_end_is_found_interrupted(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        _intend(ledger)
        ledger.fail(_intend(ledger), Failure(TIMEOUT, "late"))
        assert _states(ledger) == {("intent", ""): 1, ("interrupted", "timeout"): 1}
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert _states(ledger) == {("interrupted", "killed"): 1, ("interrupted", "timeout"): 1}


def test_tokens_are_summed_and_unknown_ones_counted(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for usage in (Usage(10, 3), Usage(5, None)):
            call = _intend(ledger)
            ledger.answer(call, Answer(b"{}", 200, None))
            ledger.judge(call, usage, Cost(), error_class=None, finish_reason="stop")
        (row,) = ledger.summary()
        assert (row["calls"], row["input_tokens"], row["output_tokens"], row["unpriced"]) == (2, 15, 3, 1)


def test_a_run_is_noted_again_only_when_it_changed(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.run_config() is None
        for model in ("a", "a", "b"):
            ledger.start_run({"model": model})
        assert ledger.run_config() == {"model": "b"}
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (2,)


def test_a_second_process_is_refused_and_the_lock_dies_with_its_holder(tmp_path):
    path = tmp_path / "ledger.db"
    code = f"from kcx_jax.llm import Ledger; l = Ledger({str(path)!r}); print('open', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(KcxError, match="another process is working on"):
        Ledger(path)
    with Ledger(path, readonly=True) as reader:  # looking is allowed
        assert reader.summary() == []
    holder.kill()
    holder.wait()
    Ledger(path).close()


def test_readonly_needs_a_ledger(tmp_path):
    with pytest.raises(KcxError, match="no ledger at"):
        Ledger(tmp_path / "ledger.db", readonly=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"this is no database, and long enough to be looked at" * 100])
def test_a_damaged_file_is_named_and_left_alone(tmp_path, content):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(KcxError, match=r"ledger\.db"):
        Ledger(path)
    assert path.read_bytes() == content
    with pytest.raises(KcxError, match=r"ledger\.db"):  # and not: another process
        Ledger(path)


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(KcxError, match="version 99"):
        Ledger(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(KcxError, match="cannot open the ledger"):
        Ledger(tmp_path / "ledger.db")


def test_a_path_through_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KcxError, match="cannot open the ledger"):
        Ledger(tmp_path / "file" / "ledger.db")


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.answer(_intend(ledger), Answer(b"kept", 200, None))
        pages = ledger.store.read("PRAGMA page_count").fetchone()[0]
        ledger.store.change(lambda db: db.execute(f"PRAGMA max_page_count = {pages}"))
        ledger.answer(_intend(ledger), Answer(os.urandom(100_000), 200, None))
        for _ in range(2):  # and it stays said: nothing may be sent any more
            with pytest.raises(KcxError, match="full"):
                ledger.store.flush()
    with Ledger(path) as ledger:
        assert ledger.answers(KEY) == [b"kept"]
