"""The training runs behind the systems: found by the folders that systems name, and drawn."""

import json

from kcx_jax.evaluation.runs.config import EvaluateConfig
from kcx_jax.evaluation.runs.report import sections
from kcx_jax.evaluation.runs.report.curves import TrainingRun, training_runs
from kcx_jax.evaluation.runs.report.sections import training_section


def config(*systems):
    listed = [{"kind": "model", "name": f"s{n}", **system} for n, system in enumerate(systems)]
    return EvaluateConfig(
        results="r",
        benchmarks=[{"name": "b", "path": "b.jsonl"}],
        systems=[*listed, {"kind": "outputs", "name": "o", "path": "x"}],
    )


def line(step, **more):
    return {"stage": "extract", "step": step, "steps": 3, "loss": 4.0 / step, "samples": 8} | more


def test_runs_are_found_by_their_parts_once_each_and_drawn(tmp_path):
    run = tmp_path / "tuned <b>"
    for part in ("adapter", "chain/0-align", "checkpoints/20/adapter"):
        (run / part).mkdir(parents=True)
    lines = [line(1), line(2, validation_loss=3.0, score=0.25), line(3, validation_loss=2.5, score=0.125)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    (found,) = training_runs(
        config(
            {"model": str(tmp_path / "base"), "adapters": [str(run / "adapter")]},
            {
                "model": "ORG/NAME",
                "adapters": [str(run / "chain/0-align"), str(run / "checkpoints/20/adapter")],
            },
        )
    )
    assert (found.folder, found.systems) == (run, ("s0", "s1"))
    assert found.curve("loss") == [(1, 4.0), (2, 2.0), (3, 4.0 / 3)]
    assert found.curve("validation_loss") == [(2, 3.0), (3, 2.5)]
    page = training_section([found])
    assert "tuned &lt;b&gt;: s0, s1" in page
    assert "3 steps · 24 samples · best F1 held out 25.0 % after step 2" in page
    assert page.count("<svg") == 1
    assert "held out</text>" in page.replace("\n", "")


def test_a_strangers_run_is_nobodys(tmp_path, monkeypatch):
    """A name on the Hub, or a folder that only lies in one of a run, came of no run."""
    (tmp_path / "ORG/NAME").mkdir(parents=True)
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line(1)) + "\n")
    monkeypatch.chdir(tmp_path)
    for model in ("ORG/OTHER", "ORG/NAME", str(tmp_path / "ORG/NAME")):
        assert training_runs(config({"model": model})) == []


def test_lines_that_are_no_steps_are_left_out(tmp_path):
    others = [
        b"\xff{",
        b"[1]",
        b"[" * 100_000,
        b'{"epoch": 1, "loss": 2}',
        b'{"stage": "a", "step": "1", "samples": 2}',
    ]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([*others, b""]))
    assert training_runs(config({"model": str(tmp_path)})) == []
    steps = [
        json.dumps(each).encode() for each in (line(1), line(2, loss="low"), line(3, validation_loss=None))
    ]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([*others, *steps, b'{"stage": "unfi']))
    (found,) = training_runs(config({"model": str(tmp_path)}))
    assert found.curve("loss") == [(1, 4.0), (3, 4.0 / 3)]
    assert found.curve("validation_loss") == []
    assert "3 steps · 24 samples" in training_section([found])


def test_without_matplotlib_the_runs_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sections, "find_spec", lambda name: None)
    page = training_section([TrainingRun(tmp_path / "tuned <b>", ("s",), (line(1),))])
    assert "Curves need matplotlib, which is not installed. The runs: tuned &lt;b&gt; (s)." in page


def test_without_a_run_folder_it_says_so(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    assert training_runs(config({"model": str(tmp_path / "model")})) == []
    assert training_runs(config({"model": "ORG/NAME"})) == []
    assert "names a run folder" in training_section([])
