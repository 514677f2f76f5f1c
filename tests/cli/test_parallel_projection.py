"""``kcx parallel projection``: a table, the same figures as JSON, and nothing paid twice."""

import json
import signal
import subprocess
import sys
import time

import pytest

from kcx_jax.corpora import write_parallel, write_records
from kcx_jax.llm import Ledger
from kcx_jax.testing.llm_server import ScriptedServer

pytestmark = pytest.mark.usefixtures("no_endpoint")


@pytest.fixture
def words(tmp_path, numbered):
    """The arguments that all calls here share, but for the input and the endpoint."""
    pairs = [numbered(n) for n in range(6)]
    write_parallel(pairs, tmp_path / "pairs.jsonl")
    write_records((pair.source for pair in pairs), tmp_path / "en.jsonl")
    return pairs, ("--source", "en", "--target", "zh", "--model", "m", "--run", tmp_path / "run")


def test_a_table_and_json(kcx, words, tmp_path):
    pairs, shared = words
    methods = ("--method", "clap", "--method", "markers", "--json", tmp_path / "out.json")
    with ScriptedServer(pairs=pairs) as server:
        call = (*shared, "--base-url", server.base_url)
        code, out, told = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call, *methods)
        assert (code, told) == (0, "cost $0.0000, and 24 calls of unknown cost\n")
        assert out.count("100.0 (61.0-100.0)") == 6
        paid = server.bill.answers
        first = (tmp_path / "out.json").read_text()
        again = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call, *methods, "--overwrite")
        assert again == (0, out, told)
        assert server.bill.answers == paid == 6 + 6 + 6 + 6
        assert (tmp_path / "out.json").read_text() == first
        code, out, _ = kcx(
            "parallel", "projection", tmp_path / "en.jsonl", *call, "--method", "clap", "--limit", "4"
        )
        assert code == 0
    clap, markers = json.loads(first)
    assert [row["faithful_resolved"] for row in (clap, markers)] == [
        {"count": 6, "of": 6, "share": 1.0, "interval_95": clap["faithful_resolved"]["interval_95"]}
    ] * 2
    assert clap["faithful_resolved"]["interval_95"][0] == pytest.approx(0.6097, abs=1e-4)
    assert clap["span_f1"]["f1"] == 1


def test_its_folder_is_none_of_a_build(kcx, words, tmp_path):
    pairs, shared = words
    with ScriptedServer(pairs=pairs) as server:
        call = (*shared, "--base-url", server.base_url)
        project = ("parallel", "projection", tmp_path / "pairs.jsonl", *call, "--method", "clap")
        assert kcx(*project)[0] == 0
        for command in ("status", "report", "revalidate"):
            code, _, told = kcx("parallel", command, tmp_path / "run")
            assert (code, told.count("\n"), told.count("holds no run of a build")) == (1, 1, 1)
        assert kcx("parallel", "build", tmp_path / "en.jsonl", *call, "--run", tmp_path / "build")[0] == 0
        code, _, told = kcx(*project, "--run", tmp_path / "build")
        assert (code, told.count("is the folder of a build")) == (2, 1)
        assert kcx("parallel", "status", tmp_path / "build")[0] == 0


PRICED = ("--model", "gpt-4o-mini", "--method", "clap", "--method", "translate-find", "--overwrite")


def test_a_budget_stops_it_and_a_larger_one_goes_on(kcx, words, tmp_path):
    pairs, shared = words
    with ScriptedServer(pairs=pairs, faults={"truncated": 0.3}, seed=1) as server:
        call = (*shared, "--base-url", server.base_url, *PRICED, "--json", tmp_path / "out.json")
        whole = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call, "--run", tmp_path / "whole")
        assert whole[0] == 0
        undisturbed, paid = (tmp_path / "out.json").read_text(), server.bill.answers
        counts = []
        for budget, code in (("0.0006", 3), ("0.0006", 3), ("0.001", 3), ("1", 0)):
            capped = ("--budget", budget, "--concurrency", "2")
            found, out, told = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call, *capped)
            assert found == code
            assert ("The same command with a larger budget goes on" in told) == (code == 3)
            assert (out == whole[1]) == (code == 0)
            counts.append(server.bill.answers - paid)
            with Ledger(tmp_path / "run" / "ledger.db") as ledger:
                assert ledger.spent().known <= float(budget) * 1e9
        assert 0 < counts[0] <= counts[1] < counts[2] < counts[3] == paid
    assert (tmp_path / "out.json").read_text() == undisturbed


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_projection_that_was_ended_goes_on(kcx, words, tmp_path, end):
    pairs, shared = words
    with ScriptedServer(pairs=pairs, latency=0.1) as server:
        call = (
            *shared,
            "--base-url",
            server.base_url,
            *PRICED,
            "--concurrency",
            "2",
            "--json",
            tmp_path / "out.json",
        )
        arguments = [str(word) for word in ("parallel", "projection", tmp_path / "pairs.jsonl", *call)]
        child = subprocess.Popen(
            [sys.executable, "-c", "from kcx_jax.cli import main; main()", *arguments], stderr=subprocess.PIPE
        )
        while server.bill.answers < 8:
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.005)
        child.send_signal(end)
        told = child.communicate()[1].decode()
        assert child.returncode == (130 if end == signal.SIGINT else -end)
        assert ("The same command goes on" in told) == (end == signal.SIGINT)
        code, out, _ = kcx(*arguments)
        assert code == 0
        assert server.bill.paid_twice <= (2 if end == signal.SIGKILL else 0)
        resumed = (tmp_path / "out.json").read_text()
        assert kcx(*arguments, "--run", tmp_path / "other")[:2] == (0, out)
        assert (tmp_path / "out.json").read_text() == resumed


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--method", "magic"], 2, "translate-find, clap, markers, align"),
        (["--method", "clap", "--source", "de"], 2, "also has the languages en"),
        (["--method", "clap", "--target", "fr"], 2, "also has the languages zh"),
        (["--method", "clap", "--json", "there"], 1, "exists already"),
        (["--method", "clap", "--budget", "1"], 2, "needs the price of 'm'"),
        (["--method", "clap", "--budget", "much"], 2, "--budget is 'much'"),
        (["--method", "clap"], 1, "cannot reach"),
    ],
)
def test_mistakes_are_one_message(kcx, words, tmp_path, more, code, message):
    (tmp_path / "there").write_text("")
    more = [tmp_path / word if word == "there" else word for word in more]
    call = (*words[1], "--base-url", "http://127.0.0.1:9/v1", *more)
    found, _, told = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call)
    assert (found, told.count("\n")) == (code, 1)
    assert message in told
