"""The demo's frame: nothing is done twice, what was cut short is taken up, other settings are refused."""

import pytest

from kcx_jax.demo.run import Step, run_steps
from kcx_jax.demo.settings import Settings
from kcx_jax.errors import KcxError, UsageError


def counting(name, calls, fail_at=()):
    def work(out, folder, settings, say):
        calls.append(name)
        if len(calls) in fail_at:
            raise KeyboardInterrupt
        return {"value": len(calls)}

    return Step(name, f"the step {name}", work)


def test_an_interrupted_run_goes_on_without_doing_anything_twice(tmp_path):
    calls: list[str] = []
    steps = [counting(name, calls, fail_at=(2,)) for name in ("one", "two", "three")]
    with pytest.raises(KeyboardInterrupt):
        run_steps(steps, tmp_path / "run", Settings(), lambda line: None)
    results = run_steps(steps, tmp_path / "run", Settings(), lambda line: None)
    assert calls == ["one", "two", "two", "three"]
    assert [results[name]["value"] for name in ("one", "two", "three")] == [1, 3, 4]
    run_steps(steps, tmp_path / "run", Settings(), lambda line: None)
    assert len(calls) == 4


def test_a_run_with_other_settings_is_refused_and_left_alone(tmp_path):
    calls: list[str] = []
    steps = [counting("one", calls)]
    run_steps(steps, tmp_path / "run", Settings(seed=1), lambda line: None)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="seed"):
        run_steps(steps, tmp_path / "run", Settings(seed=2), lambda line: None)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_folder_of_the_users_is_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="no run of the demo"):
        run_steps([], tmp_path, Settings(), lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_result_is_named(tmp_path):
    steps = [counting("one", [])]
    run_steps(steps, tmp_path / "run", Settings(), lambda line: None)
    (tmp_path / "run" / "1-one" / "result.json").write_text("{")
    with pytest.raises(KcxError, match=r"1-one/result\.json"):
        run_steps(steps, tmp_path / "run", Settings(), lambda line: None)


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KcxError, match="cannot make"):
        run_steps([], tmp_path / "file" / "run", Settings(), lambda line: None)
