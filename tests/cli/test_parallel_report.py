"""``kcx parallel preview`` and ``report`` from the command line."""

import json

import pytest
from typer.testing import CliRunner

from kcx_jax.cli.parallel import app
from kcx_jax.corpora import read_parallel, write_records
from kcx_jax.testing.llm_server import ScriptedServer

pytestmark = pytest.mark.usefixtures("no_endpoint")


def _run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def test_preview_then_build_then_report(tmp_path, numbered):
    pairs = [numbered(n) for n in range(12)]
    write_records((pair.source for pair in pairs), tmp_path / "in.jsonl")
    run = tmp_path / "run"
    with ScriptedServer(pairs=pairs) as server:
        same = [str(tmp_path / "in.jsonl"), "--source", "en", "--target", "zh", "--run", str(run)]
        same += ["--base-url", server.base_url, "--model", "gpt-4o-mini"]
        looked = _run("preview", *same, "-n", "5")
        assert looked.exit_code == 0, looked.output
        assert "cost so far $0.0" in looked.stderr
        page = (run / "preview.html").read_text(encoding="utf-8")
        assert page.count("<article") == 5  # all are shown
        assert server.bill.answers == 5
        assert _run("build", *same).exit_code == 0
        assert server.bill.answers == 12
        refused = _run("preview", *same)
        assert refused.exit_code != 0
        assert "was built already" in str(refused.exception)
    assert len(list(read_parallel(run / "parallel.jsonl"))) == 12

    out = {name: tmp_path / f"report.{name}" for name in ("html", "json", "markdown")}
    options = [part for name, path in out.items() for part in (f"--{name}", str(path))]
    for expected, more in ((0, []), (1, []), (0, ["--overwrite"])):
        reported = _run("report", str(run), *options, *more)
        assert reported.exit_code == expected, reported.output
    assert json.loads(out["json"].read_text())["records"] == 12
    assert "<article" in out["html"].read_text(encoding="utf-8")
    printed = _run("report", str(run))
    assert printed.stdout == out["markdown"].read_text(encoding="utf-8")
    assert "12 records: 12 pairs" in printed.stdout
    assert "no ledger at" in str(_run("report", str(tmp_path / "nowhere")).exception)
