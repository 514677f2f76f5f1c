"""Watching a run: the figures a line and a curve show, the profiler's window, the digest of data."""

import hashlib
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from kcx_jax.errors import UsageError
from kcx_jax.files import digest
from kcx_jax.testing.tiny import TINY, tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import Stage, StepMetrics, flops, plan_stages, read_metrics, train_trees
from kcx_jax.training.metrics import ConsoleReport
from kcx_jax.training.tensorboard import TensorBoardReport

STAGE = Stage("one", tiny_trees(), steps=4)
SETTINGS = tiny_settings(shapes=1)


def step_metrics(**changes):
    values = {"stage": "one", "step": 1, "steps": 11, "loss": 2.5, "gradient_norm": 1.0, "learning_rate": 0.1}
    counts = {"targets": 10, "samples": 20, "tokens": 4000, "seconds": 2.0, "padding": 0.25}
    return StepMetrics(**(values | counts | changes))


def test_the_line_of_a_step_has_its_rates_and_what_is_left(capsys):
    report = ConsoleReport()
    report(step_metrics(mfu=0.4, validation_loss=1.5, score=0.75))
    line = capsys.readouterr().err
    for part in (
        "one: step 1 of 11",
        "loss 2.500",
        "10.0 samples/s",
        "2,000 tokens/s",
        "25% padding",
        "MFU 40%",
    ):
        assert part in line
    assert line.endswith("held out: loss 1.500, score 0.750  0:00:20 left\n")
    ConsoleReport()(step_metrics())
    assert "MFU" not in capsys.readouterr().err


def test_a_step_tells_its_padding_and_its_share_of_a_known_peak(monkeypatch, silent):
    (plan,) = plan_stages([STAGE], SETTINGS)
    history = train_trees(tiny_model(), [STAGE], SETTINGS, report=silent).history
    for metrics, step in zip(history, plan.steps, strict=True):
        assert metrics.padding == 1 - step.tokens / (step.shape.stream * len(step.rows))
        assert metrics.mfu is None  # of a CPU
    monkeypatch.setattr("kcx_jax.training.loop.peak_flops", lambda dtype: 1e12)
    for metrics in train_trees(tiny_model(), [STAGE], SETTINGS, report=silent).history:
        needed = flops.needed_flops(TINY, STAGE.trees, plan.steps[metrics.step - 1])
        assert metrics.mfu == pytest.approx(needed / metrics.seconds / 1e12)


def test_the_peak_is_that_of_all_devices_in_their_fast_format(monkeypatch):
    assert flops.peak_flops("bfloat16") is None
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(device_kind="NVIDIA H200")] * 8)
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert flops.peak_flops("bfloat16") == 8 * 989e12
    assert flops.peak_flops("float32") is None


def test_a_window_of_steps_is_profiled(tmp_path, silent):
    settings = tiny_settings(shapes=1, profile={"start": 2, "steps": 2})
    train_trees(tiny_model(), [STAGE], settings, tmp_path, report=silent)
    assert any(path.suffix == ".pb" for path in (tmp_path / "profile").rglob("*"))


def test_a_window_outlives_no_run(tmp_path, silent):
    settings = tiny_settings(shapes=1, profile={"start": 4, "steps": 9})
    train_trees(tiny_model(), [STAGE], settings, tmp_path, report=silent)
    assert any(path.suffix == ".pb" for path in (tmp_path / "profile").rglob("*"))
    jax.profiler.start_trace(tmp_path / "again")  # it would refuse a second trace at a time
    jax.profiler.stop_trace()


def test_curves_have_every_figure_at_its_step(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for last, steps in ((0, (1, 2, 3)), (1, (2,))):  # killed after a checkpoint of step 1, and resumed
        report = TensorBoardReport(tmp_path, last)
        for step in steps:
            report(step_metrics(step=step, loss=step + last, score=0.5))
        report.close()
    curves = EventAccumulator(str(tmp_path)).Reload()
    assert [(each.step, each.value) for each in curves.Scalars("loss")] == [(1, 1.0), (2, 3.0)]
    assert {"tokens", "seconds", "learning_rate", "score"} <= set(curves.Tags()["scalars"])


def test_the_curves_of_a_run_are_its_metrics(tmp_path, silent):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_trees(tiny_model(), [STAGE], tiny_settings(tensorboard=True), tmp_path, report=silent)
    lines = read_metrics(tmp_path)
    (folder,) = {path.parent for path in tmp_path.rglob("*tfevents*")}
    curves = EventAccumulator(str(folder)).Reload()
    wanted = {name for name, value in lines[0].items() if isinstance(value, int | float)} - {"step"}
    assert set(curves.Tags()["scalars"]) == wanted
    for name in wanted:
        told = [(each.step, each.value) for each in curves.Scalars(name)]
        assert told == [
            (line["step"], float(np.float32(line[name]))) for line in lines
        ]  # events hold float32


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch, silent):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(UsageError, match=r"pip install 'kcx-jax\[tensorboard\]'"):
        train_trees(tiny_model(), [STAGE], tiny_settings(tensorboard=True), tmp_path, report=silent)


def test_a_digest_is_that_of_the_bytes_and_of_a_folder_that_of_its_files(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    assert digest(tmp_path / "a") == hashlib.sha256(b"x").hexdigest()
    before = digest(tmp_path)
    (tmp_path / "b").mkdir()
    assert digest(tmp_path) == before
    (tmp_path / "b" / "c").write_bytes(b"y")
    after = digest(tmp_path)
    (tmp_path / "b" / "c").rename(tmp_path / "b" / "d")
    assert len({before, after, digest(tmp_path)}) == 3
