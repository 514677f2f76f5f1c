"""Ctrl-C in each of the seven steps of the demo, started again each time: nothing done twice, the same result."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..signals import signal_at

# The demo's own steps at their real jobs, each as small as it can be.
DEMO = """
import sys
from kcx_jax.cli import app
from kcx_jax.demo import settings

small = settings.Settings(
    pairs=24, align_steps=4, extract_items=48, extract_steps=4, rows=2, branches=8, lora_rank=4, heldout=3
)
settings.Settings.of = classmethod(lambda *arguments: small)
sys.argv = ["kcx", "demo", "--out", sys.argv[1]]
app.main()
"""
# What is on the screen when Ctrl-C comes: the step's own line, or the one that says its work has begun.
MOMENTS = ("[1/7]", "[2/7]", "stage 1: step", "stage 2: step", "base: answered", "[6/7]", "[7/7]")
STEPS = ("1-base", "2-parallel", "3-align", "4-extract", "5-answers", "6-export", "7-report")


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", DEMO, str(folder)], stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def interrupt_at(moment: str, folder: Path) -> str:
    """Start the demo, send Ctrl-C when `moment` is on the screen; returns all it said."""
    process = start(folder)
    said = signal_at(moment, process, signal.SIGINT)
    assert process.returncode == 130, f"{moment}: {said}"
    return said


def results(folder: Path) -> dict[str, dict]:
    found = {name: json.loads((folder / name / "result.json").read_text()) for name in STEPS}
    return {name: {k: v for k, v in result.items() if k != "seconds"} for name, result in found.items()}


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_ctrl_c_in_each_step_changes_nothing(tmp_path):
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    whole.parent.mkdir()
    cut.parent.mkdir()
    with start(whole) as process:
        said = process.stderr.read()
    assert process.returncode == 0, said

    for number, moment in enumerate(MOMENTS):
        said = interrupt_at(moment, cut)
        assert "goes on" in said
        assert said.count("done before") == max(0, number - 1)  # the last one's step is done only now
        for name in STEPS[number:]:
            assert not (cut / name / "result.json").exists(), f"{name} was finished before its Ctrl-C"
    started = time.time()
    with start(cut) as process:
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert said.count("done before") == 6
    written = [path for path in cut.rglob("*") if path.is_file() and path.stat().st_mtime > started]
    assert {str(path.relative_to(cut)) for path in written} == {"report.html", "7-report/result.json"}

    def placeless(folder: Path) -> str:
        return json.dumps(results(folder), ensure_ascii=False).replace(str(folder), "RUN")

    assert placeless(cut) == placeless(whole)
