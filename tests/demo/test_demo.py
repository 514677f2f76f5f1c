"""`kcx demo --quick` from end to end, and once more: everything there, nothing done twice."""

import json
import subprocess
import sys

import pytest

from kcx_jax.demo.corpus import schema
from kcx_jax.schema import TASKS, load_schema

KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]


def demo(folder):
    return subprocess.run(
        [*KCX, "demo", "--quick", "--out", folder / "run"], capture_output=True, text=True, timeout=1500
    )


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_quick_demo_runs_end_to_end_and_is_done_once(tmp_path):
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    scores = json.loads((run / "5-answers" / "result.json").read_text())["scores"]
    assert set(scores) == {"base", "stage 2", "stages 1 + 2"}
    for system in scores.values():
        assert set(system) == {"en", "zh", "es"}
        assert all(set(cells) == set(TASKS) for cells in system.values())
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert load_schema(run / "5-answers" / "schema.py") == schema()
    assert (run / "6-export" / "llama" / "config.json").exists()
    assert (run / "6-export" / "peft" / "adapter_config.json").exists()

    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    again = demo(tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done before") == 7
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
