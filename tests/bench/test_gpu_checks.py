"""scripts/gpu_checks at toy size on the CPU: every unit's cases run, and the runner writes what it got."""

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import jax
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "gpu_checks"


@pytest.fixture(scope="module")
def checks():
    loader = SourceFileLoader("gpu_checks", str(SCRIPT))
    module = module_from_spec(spec_from_loader("gpu_checks", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("unit", "case", "figure"),
    [
        ("attention", "blockwise bfloat16, alibi", "q"),
        ("loss", "bfloat16 default", "hidden"),
        ("fp8", "product, fp8", "gradient_error"),
        ("fp8", "tuning, base in int8", "last_loss"),
        ("decode", "wikineural-en", "sentences_per_second"),
    ],
)
def test_a_case_of_each_unit_gives_its_figures(checks, unit, case, figure):
    found = checks.UNITS[unit](True)[case]()
    assert found[figure] > 0
    if figure in ("q", "hidden", "gradient_error"):
        assert found[figure] < 0.1


@pytest.mark.slow
def test_the_gate_on_the_shipped_base_gives_its_figures(checks):
    assert checks.UNITS["fp8"](True)["gate, int8"]()["gradient_cosine"] > 0.99


@pytest.mark.interop
def test_the_peer_recomputes_only_where_it_is_told_to(checks):
    pytest.importorskip("peft")
    pytest.importorskip("torch")
    cases = checks.UNITS["peer"](True)
    plain, recomputing = (cases[f"wikineural-en, tuning{more}"]() for more in ("", ", recomputing"))
    assert (plain["recomputes"], recomputing["recomputes"]) == (0, 1)


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="needs a machine where cuDNN is refused")
def test_a_case_that_cannot_run_says_why_and_costs_the_others_nothing(tmp_path, checks, monkeypatch):
    monkeypatch.setitem(checks.UNITS, "attention", lambda toy: ["cudnn bfloat16 default"])
    found = checks.run("attention", tmp_path, 300, True)
    assert "NVIDIA GPU" in found["cudnn bfloat16 default"]["failed"]
    assert json.loads((tmp_path / "attention.json").read_text()) == found
    assert checks.run("loss", tmp_path, 0, True)["float32 highest"]["failed"] == "the unit's 0 s were over"
    wrong = [sys.executable, str(SCRIPT), "--only", "nothing", "--out", str(tmp_path)]
    ended = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "no such unit: nothing" in ended.stderr
