"""kill -9 anywhere, any number of times, then the same command: nothing lost, and the bill is accounted for."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from kcx_jax.corpora import Record, read_parallel, write_records
from kcx_jax.llm import ChatClient, RetryPolicy
from kcx_jax.llm.crash import POINTS, VARIABLE
from kcx_jax.parallel import build
from kcx_jax.testing.llm_server import ScriptedServer

_RARE = ("wrong_ids", "broken_json", "rate_limit", "server_error", "empty_choices", "wholesale_rewrite")
FAULTS = {"missing_span": 0.2, "paraphrased_span": 0.2} | dict.fromkeys(_RARE, 0.1)
CONCURRENCY = 8

CHILD = """
import sys
from kcx_jax.corpora import read_records
from kcx_jax.llm import BatchSettings, ChatClient, RetryPolicy, load_prices
from kcx_jax.parallel import build
records, run, url, mode = sys.argv[1:]
quick = RetryPolicy(first_wait=0.01, longest_wait=0.02, breaker=99)
small, big = (
    ChatClient(
        name, url, retry=quick, concurrency=8, timeout=3.0, price=load_prices()["gpt-4o-mini"],
        exactly_once=mode != "plain",
        batch=BatchSettings(20, smallest=5, quiet=0.2, poll=0.05) if mode == "batch" else None,
    )
    for name in ("small", "big")
)
build(read_records(records), "en", "zh", small, run, big)
"""


@pytest.fixture(scope="module")
def many(numbered):
    return [numbered(n) for n in range(300)]


@pytest.fixture(scope="module")
def calm(many, tmp_path_factory):
    """What a run gives that nobody disturbed: the pairs by id, and who is left for people."""
    quick = RetryPolicy(first_wait=0.01, longest_wait=0.02, breaker=99)
    folder = tmp_path_factory.mktemp("calm")
    with ScriptedServer(faults=FAULTS, seed=3, pairs=many) as server:
        clients = [ChatClient(name, server.base_url, retry=quick, concurrency=8) for name in ("small", "big")]
        with build(with_duplicates(many), "en", "zh", clients[0], folder, clients[1]):
            pass
    return _results(folder)


def with_duplicates(pairs) -> list[Record]:
    """The sources of the pairs, every tenth of them twice."""
    records = [pair.source for pair in pairs]
    return records + [replace(record, id=f"{record.id}-again") for record in records[::10]]


def _results(folder):
    pairs = [
        replace(p, provenance={**p.provenance, "calls": None})
        for p in read_parallel(folder / "parallel.jsonl")
    ]
    people = [json.loads(line)["id"] for line in (folder / "unresolved.jsonl").read_text().splitlines()]
    return pairs, people


class _Run:
    """The same command, as often as it takes."""

    def __init__(self, folder, pairs, server, mode: str):
        self.folder, self.server = folder / "run", server
        records = folder / "records.jsonl"
        write_records(with_duplicates(pairs), records)
        self._command = [sys.executable, "-c", CHILD, str(records), str(self.folder), server.base_url, mode]

    def start(self, crash_at: str = "") -> subprocess.Popen:
        environment = {**os.environ, VARIABLE: crash_at}
        return subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True, env=environment)

    def kill_after(self, answers: int) -> bool:
        """Kill it after so many more answers; whether it was still alive."""
        child, before = self.start(), self.server.bill.answers
        while self.server.bill.answers < before + answers and child.poll() is None:
            time.sleep(0.002)
        alive = child.poll() is None
        child.send_signal(signal.SIGKILL)
        assert alive or child.wait() == 0, child.stderr.read()
        child.wait()
        return alive

    def finish(self) -> None:
        child = self.start()
        _, told = child.communicate()
        assert child.returncode == 0, told

    def check(self, calm) -> dict[str, int]:
        """Nothing is lost, nothing inconsistent, and every cent is in the ledger or known to be ambiguous."""
        assert _results(self.folder) == calm
        with sqlite3.connect(self.folder / "ledger.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            count = dict(db.execute("SELECT state, count(*) FROM call GROUP BY state"))
            unpriced = db.execute("SELECT count(*) FROM call WHERE state = 'answered' AND nano_usd IS NULL")
            tokens = db.execute("SELECT sum(input_tokens), sum(output_tokens) FROM call").fetchone()
            # A body that was cut on its way says nothing of its cost.
            assert unpriced.fetchone()[0] == 0
        assert set(count) <= {"answered", "failed", "interrupted"}
        bill, unknown = self.server.bill, count.get("interrupted", 0)
        assert count["answered"] <= bill.answers + bill.batch_answers <= count["answered"] + unknown
        served = (bill.input_tokens + bill.batch_input_tokens, bill.output_tokens + bill.batch_output_tokens)
        assert served == tokens or unknown
        return count


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["recover", "plain"])
def test_twenty_kills_at_random_moments(many, calm, tmp_path, mode):
    draw = random.Random(7)
    kills = 0
    with ScriptedServer(faults=FAULTS, seed=3, pairs=many, latency=0.05) as server:
        run = _Run(tmp_path, many, server, mode)
        for _ in range(20):
            kills += run.kill_after(draw.randint(0, 40))
        run.finish()
        count = run.check(calm)
        paid_twice = server.bill.paid_twice
    assert kills >= 15
    if mode == "recover":
        assert paid_twice == 0
        assert count.get("interrupted", 0) == 0
    else:
        assert paid_twice <= count.get("interrupted", 0) <= kills * CONCURRENCY


@pytest.mark.parametrize("point", POINTS)
def test_death_at_every_named_point(many, calm, tmp_path, point):
    """Twice at the point, at different moments; then to the end."""
    mode = "batch" if point.startswith("batch") else "recover"
    some = many[:40]
    with ScriptedServer(faults=FAULTS, seed=3, pairs=some) as server:
        run = _Run(tmp_path, some, server, mode)
        for number in (1, 2):
            child = run.start(f"{point}:{1 if point == 'during_export' else number}")
            _, told = child.communicate()
            assert child.returncode == 137, told
        run.finish()
        ids = {record.id for record in with_duplicates(some)}
        pairs, people = calm
        run.check(([pair for pair in pairs if pair.id in ids], [id for id in people if id in ids]))
        assert server.bill.paid_twice == 0
