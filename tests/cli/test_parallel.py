"""``kcx parallel``: a run from the command line, looked at, exported, stopped and continued."""

import json
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from kcx_jax.cli.parallel import app
from kcx_jax.corpora import ParallelRecord, read_parallel, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.llm import EndpointError
from kcx_jax.testing.llm_server import ScriptedServer

pytestmark = pytest.mark.usefixtures("no_endpoint")


@pytest.fixture
def pairs(tmp_path, numbered) -> list[ParallelRecord]:
    pairs = [numbered(n) for n in range(12)]
    write_records((pair.source for pair in pairs), tmp_path / "in.jsonl")
    return pairs


def _arguments(tmp_path, server, *more: str) -> list[str]:
    return [
        *("build", str(tmp_path / "in.jsonl"), "--source", "en", "--target", "zh"),
        *("--run", str(tmp_path / "run"), "--base-url", server.base_url, "--model", "m", *more),
    ]


def _run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def test_build_then_status_then_export(pairs, tmp_path):
    faults = {"missing_span": 0.3, "paraphrased_span": 0.3}
    with ScriptedServer(faults=faults, seed=1, pairs=pairs) as server:
        built = _run(*_arguments(tmp_path, server, "--fallback", "big"))
        assert built.exit_code == 0, built.output
    made = list(read_parallel(tmp_path / "run" / "parallel.jsonl"))
    assert f"{len(made)} pairs in" in built.stderr
    assert "12 records finished" in built.stdout
    status = _run("status", str(tmp_path / "run"))
    assert status.exit_code == 0, status.output
    assert "rewrite_sentence" in status.stdout
    assert "answered" in status.stdout
    out = tmp_path / "out.jsonl"
    for expected in (0, 1, 0):
        more = ["--overwrite"] if out.exists() and expected == 0 else []
        exported = _run("export", str(tmp_path / "run"), "--output", str(out), *more)
        assert exported.exit_code == expected
    assert list(read_parallel(out)) == made


def test_a_preview_and_a_build_with_the_same_options_agree(pairs, tmp_path):
    """The build asks for none of the preview's records again, and its pairs say how they were made."""
    (tmp_path / "names.tsv").write_text("zh\tAda3\t艾达3\n")
    more = ("--variant", "xml", "--glossary", str(tmp_path / "names.tsv"), "--no-language-id")
    with ScriptedServer(pairs=pairs) as server:
        arguments = _arguments(tmp_path, server, *more)
        looked = _run("preview", *arguments[1:], "-n", "12")
        assert (looked.exit_code, server.bill.requests) == (0, 12), looked.output
        assert _run(*arguments).exit_code == 0
        assert server.bill.requests == 12
        assert _run(*_arguments(tmp_path, server)).exit_code == 0
        assert server.bill.requests == 24  # otherwise asked is asked anew
        assert _run(*arguments).exit_code == 0
    made = {pair.id: pair.provenance for pair in read_parallel(tmp_path / "run" / "parallel.jsonl")}
    assert {provenance["variant"] for provenance in made.values()} == {"xml"}
    assert [id for id in made if "glossary" in made[id]] == ["r3"]


def test_an_unknown_variant_is_refused_before_anything_is_sent(pairs, tmp_path):
    with ScriptedServer(pairs=pairs) as server:
        refused = _run(*_arguments(tmp_path, server, "--variant", "tags"))
        assert server.bill.requests == 0
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception) == "unknown prompt variant 'tags'; there are: joint, xml"
    assert not (tmp_path / "run").exists()


def test_unresolved_records_are_pointed_at(pairs, tmp_path):
    with ScriptedServer(faults={"untranslated": 1.0}, pairs=pairs) as server:
        built = _run(*_arguments(tmp_path, server))
    assert built.exit_code == 0
    assert "12 cases for people in" in built.stderr
    counts = json.loads((tmp_path / "run" / "statistics.json").read_text())
    assert (counts["faithfulness_verbatim"], counts["stages"][0]["missing_per_10k"]) == (0.0, 10_000)


def test_mistakes_of_the_caller_are_named(pairs, tmp_path, monkeypatch):
    with ScriptedServer(pairs=pairs) as server:
        failed = _run(*_arguments(tmp_path, server, "--api-key-env", "NO_SUCH_KEY"))
        assert isinstance(failed.exception, UsageError)
        assert "NO_SUCH_KEY" in str(failed.exception)
        arguments = _arguments(tmp_path, server)
        arguments[1] = str(tmp_path / "nowhere.jsonl")
        failed = _run(*arguments)
        assert isinstance(failed.exception, KcxError)
        assert "nowhere.jsonl" in str(failed.exception)
        arguments = _arguments(tmp_path, server)
    failed = _run(*arguments)  # the server is gone
    assert isinstance(failed.exception, EndpointError)
    assert "cannot reach" in str(failed.exception)
    failed = _run("status", str(tmp_path / "elsewhere"))
    assert "no ledger at" in str(failed.exception)


def test_a_key_comes_from_the_variable_that_is_named(pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "right")
    with ScriptedServer(pairs=pairs, api_key="right") as server:
        assert _run(*_arguments(tmp_path, server, "--api-key-env", "MY_KEY")).exit_code == 0


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(pairs, tmp_path):
    program = [sys.executable, "-c", "from kcx_jax.cli.parallel import app; app()"]
    with ScriptedServer(pairs=pairs, latency=0.3) as server:
        arguments = _arguments(tmp_path, server, "--concurrency", "1")
        child = subprocess.Popen(
            program + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while server.bill.answers < 4:
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate()
        assert child.returncode != 0
        assert "The same command goes on" in told
        before = server.bill.answers
        assert _run(*arguments).exit_code == 0
        assert server.bill.answers - before <= 12 - 3
    assert len(list(read_parallel(tmp_path / "run" / "parallel.jsonl"))) == 12
