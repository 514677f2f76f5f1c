"""``kcx parallel build --ray``: parts as tasks on a real Ray cluster of this machine, and what is said without one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kcx_jax.cli import main
from kcx_jax.corpora import read_parallel, write_records
from kcx_jax.testing.llm_server import ScriptedServer

from ..ray_cluster import KEY, needs_ray, ray_cluster

ROOT = Path(__file__).resolve().parents[2]
KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]


@pytest.fixture
def records(pairs, tmp_path) -> Path:
    write_records((pair.source for pair in pairs), tmp_path / "in.jsonl")
    return tmp_path / "in.jsonl"


def _words(records: Path, *more: str, url: str = "http://127.0.0.1:9/v1") -> list[str]:
    words = ["parallel", "build", str(records), "--source", "en", "--target", "zh", "--model", "m"]
    return [*words, "--run", str(records.parent / "run"), "--base-url", url, *more]


def _kcx(monkeypatch, capsys, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["kcx", *words])
    with pytest.raises(SystemExit) as leaving:
        main()
    return int(leaving.value.code or 0), capsys.readouterr().err


def test_without_ray_one_message_says_what_to_install(records, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, told = _kcx(monkeypatch, capsys, *_words(records, "--ray", "2"))
    assert (code, told.count("\n")) == (1, 1)
    assert "pip install 'kcx-jax[ray]'" in told


@needs_ray
def test_without_a_cluster_one_message_says_how_to_start_one(records, monkeypatch, capsys):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code, told = _kcx(monkeypatch, capsys, *_words(records, "--ray", "2"))
    assert code == 1
    assert "ray start --head" in told.splitlines()[-1]
    assert "--shard" in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("made", "more", "message"),
    [
        (None, ("--shard", "0/2"), "leave --shard out"),
        (None, ("--requests-per-minute", "1"), "--requests-per-minute is 1: 2 parts cannot share it"),
        (None, ("--budget", "much"), "--budget is 'much'"),
        ("part-0-of-3/ledger.db", (), "was built with --ray 3"),
        ("ledger.db", (), "was built without --ray"),
    ],
)
def test_what_cannot_be_divided_is_refused(records, made, more, message, monkeypatch, capsys):
    if made is not None:
        (records.parent / "run" / made).parent.mkdir(parents=True)
        (records.parent / "run" / made).touch()
    code, told = _kcx(monkeypatch, capsys, *_words(records, "--ray", "2", *more))
    assert (code, told.count("\n")) == (2, 1)
    assert message in told


@pytest.fixture(scope="module")
def cluster():
    """A cluster of this machine: its address, and the folder of its logs. It alone has the key."""
    with ray_cluster() as running:
        yield running


def _start(address: str, words: list[str]) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    environment |= {"RAY_ADDRESS": address, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        KCX + words, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _build(address: str, words: list[str]) -> tuple[int, str]:
    child = _start(address, words)
    told = "".join(child.communicate(timeout=300))
    return child.returncode, told


def _targets(run: Path) -> dict[str, str]:
    return {pair.id: pair.target.text for pair in read_parallel(run / "parallel.jsonl")}


@needs_ray
@pytest.mark.slow
def test_parts_are_built_and_merged_and_nothing_is_asked_twice(cluster, pairs, records):
    address, logs = cluster
    run, truth = records.parent / "run", {pair.id: pair.target.text for pair in pairs}
    with ScriptedServer(pairs=pairs, api_key=KEY) as server:
        for _ in range(2):
            code, told = _build(address, _words(records, "--ray", "3", url=server.base_url))
            assert code == 0, told
            assert f"{len(pairs)} pairs in {run / 'parallel.jsonl'}" in told
            assert _targets(run) == truth
            assert server.bill.answers == len(pairs)
    assert sorted(path.name for path in run.glob("part-*")) == [f"part-{n}-of-3" for n in range(3)]
    assert not [path for path in logs.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@needs_ray
@pytest.mark.slow
def test_a_part_that_fails_is_named_and_the_others_go_on(cluster, pairs, records):
    address, _ = cluster
    damaged = records.parent / "run" / "part-1-of-3" / "ledger.db"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no ledger at all" * 100)
    with ScriptedServer(pairs=pairs, api_key=KEY) as server:
        words = _words(records, "--ray", "3", url=server.base_url)
        code, told = _build(address, words)
        assert code == 1, told
        assert f"part 1 ({damaged.parent}) failed: " in told
        assert "1 of 3 parts are not done" in told
        assert "Traceback" not in told
        assert 0 < server.bill.answers < len(pairs)
        damaged.unlink()
        code, told = _build(address, words)
        assert code == 0, told
        assert server.bill.answers == len(pairs)
    assert _targets(records.parent / "run").keys() == {pair.id for pair in pairs}


@needs_ray
@pytest.mark.slow
def test_an_interrupted_build_stops_its_parts_and_goes_on(cluster, pairs, records):
    address, _ = cluster
    with ScriptedServer(pairs=pairs, api_key=KEY, latency=0.5) as server:
        words = _words(records, "--ray", "2", "--concurrency", "1", url=server.base_url)
        child = _start(address, words)
        while server.bill.answers < 2:
            assert child.poll() is None, "".join(child.communicate())
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        told = "".join(child.communicate(timeout=120))
        assert child.returncode == 130, told
        assert "The same command goes on" in told
        asked = server.bill.answers
        time.sleep(1.5)
        assert server.bill.answers == asked < len(pairs)
        code, told = _build(address, words)
        assert code == 0, told
        assert server.bill.answers == len(pairs)  # what was under way at the interruption came to its end
    assert _targets(records.parent / "run").keys() == {pair.id for pair in pairs}
