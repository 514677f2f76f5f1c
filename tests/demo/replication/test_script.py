"""scripts/measure_replication at toy size: killed in base, tuning and answers, it comes to the same figures."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kcx_jax.demo.replication import GROUPS, SYSTEMS, Replication
from kcx_jax.schema import TASKS

from ...signals import signal_at

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "measure_replication"
ASKED = ("stage 2", "stages 1 + 2")
SIZES = ("base-steps=2", "align-steps=1", "extract-steps=1", "pairs=16", "extract-items=40", "heldout=2")
# What is on the screen when the kill comes.
MOMENTS = ("base: reading on", "stage 2: step 1", "constrained, zh: answered")


def start(folder: Path) -> subprocess.Popen:
    sizes = [f"--{size}" for size in SIZES]
    command = [sys.executable, SCRIPT, folder, "--seeds", "1", "--only", *ASKED, *sizes]
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled")}  # once for all runs of a test
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=os.environ | compiled,
    )


def killed_at(moment: str, folder: Path) -> None:
    process = start(folder)
    said = signal_at(moment, process, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, said
    assert not (folder / "replication.json").exists()


def finished(folder: Path) -> dict:
    with start(folder) as process:
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert "figures in" in said
    return json.loads((folder / "replication.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_changes_no_figure(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    figures = finished(whole)
    for moment in MOMENTS:
        killed_at(moment, cut)
    assert finished(cut) == figures
    assert (cut / "tables.md").read_text() == (whole / "tables.md").read_text()

    assert set(figures["scores"]) == set(ASKED)
    assert {effect["one"] for effect in figures["effects"]} == {"stage 2"}
    for effect in figures["effects"]:
        assert list(effect["groups"]) == list(GROUPS)
        assert all(set(by_task) == set(TASKS) for by_task in effect["groups"].values())


@pytest.mark.slow
def test_other_settings_are_refused(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(Replication(pairs=3).to_json()))
    with start(tmp_path) as process:
        said = process.stderr.read()
    assert process.returncode != 0
    assert "other settings" in said


def test_systems_differ_from_stage_2_in_one_thing():
    plain = SYSTEMS["stage 2"]
    for system in SYSTEMS.values():
        differing = [key for key, value in vars(system).items() if value != vars(plain)[key]]
        assert len(differing) == (system != plain)
    settings = Replication()
    one, many = (settings.tuning(SYSTEMS[name], 0) for name in ("stage 2, one by one", "stage 2"))
    assert (one.branches, one.rows) == (1, many.rows * many.branches)
