"""The report is complete, says what to do, and fails exactly when a plain run would."""

import importlib.metadata
import json

import pytest
from typer.testing import CliRunner

from kcx_jax.cli import doctor
from kcx_jax.cli.app import app
from kcx_jax.cli.extras import EXTRAS


@pytest.fixture
def without(monkeypatch):
    """Make distributions look uninstalled."""
    real = doctor._version

    def hide(*names):
        monkeypatch.setattr(doctor, "_version", lambda name: None if name in names else real(name))

    return hide


def _report():
    done = CliRunner().invoke(app, ["doctor", "--json"])
    return done.exit_code, {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_it_names_every_package_with_the_version_that_is_installed():
    code, report = _report()
    assert code == 0
    assert report["numpy"]["found"] == importlib.metadata.version("numpy")
    assert {"Python", "kcx_jax", "memory", "disk", "CPU", "NVIDIA driver"} <= report.keys()
    assert {name for names in EXTRAS.values() for name in names} <= report.keys()


def test_a_missing_extra_is_no_failure_and_comes_with_its_command(without):
    without("jax", "torch")
    code, report = _report()
    assert code == 0
    assert report["jax"]["status"] == report["torch"]["status"] == "absent"
    assert "kcx-jax[model]" in report["jax"]["advice"]
    assert "jax devices" not in report


def test_a_missing_core_package_fails(without):
    without("openai")
    code, report = _report()
    assert code == 1
    assert report["openai"]["status"] == "broken"


def test_a_jax_that_does_not_start_fails(monkeypatch):
    found = doctor.importlib.import_module

    def broken(name, package=None):
        if name == "jax":
            raise RuntimeError("no such plugin")
        return found(name, package)

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    code, report = _report()
    assert code == 1
    assert "no such plugin" in report["jax devices"]["found"]


@pytest.mark.parametrize(
    ("driver", "says"), [("580.65", "cuda13"), ("550.54", "cuda12"), ("470.1", "too old")]
)
def test_a_gpu_that_jax_cannot_use_gets_the_wheels_its_driver_runs(driver, says):
    assert says in doctor._cuda_advice(f"{driver}, NVIDIA H200, 143771 MiB")


def test_the_table_shows_every_finding_as_plain_text():
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "sentencepiece" in done.stdout
