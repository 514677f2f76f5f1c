"""The loop: resumed = uninterrupted, stages build on each other, what is broken stops by name."""

import signal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.testing.devices import run_on_fake_devices
from kcx_jax.testing.tiny import tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import Stage, plan_stages, read_metrics, train_trees

SETTINGS = tiny_settings(save_every=4, shapes=1)
STAGES = [Stage("one", tiny_trees(0), steps=5), Stage("two", tiny_trees(1), steps=4, learning_rate=1e-3)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Result and metrics of an undisturbed run through both stages."""
    run_dir = tmp_path_factory.mktemp("whole")
    result = train_trees(tiny_model(), STAGES, SETTINGS, run_dir, report=lambda metrics: None)
    return result, read_metrics(run_dir)


def timeless(lines):
    """Metrics without what a clock decides."""
    return [{k: v for k, v in line.items() if k not in ("seconds", "compile_seconds")} for line in lines]


def bits_equal(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(np.asarray(x), np.asarray(y)) for x, y in leaves)


def run_until(step, action, run_dir):
    """Train with `action` called at the report of `step`."""

    def report(metrics):
        if metrics.step == step:
            action()

    return train_trees(tiny_model(), STAGES, SETTINGS, run_dir, report=report)


@pytest.mark.parametrize("step", [2, 5, 8])
def test_a_run_stopped_by_ctrl_c_goes_on_bit_by_bit(step, tmp_path, uninterrupted, silent):
    with pytest.raises(KeyboardInterrupt):
        run_until(step, lambda: signal.raise_signal(signal.SIGINT), tmp_path)
    stopped = len(read_metrics(tmp_path))
    assert step <= stopped < step + 3
    resumed = train_trees(tiny_model(), STAGES, SETTINGS, tmp_path, resume=True, report=silent)
    assert len(resumed.history) == 9 - stopped  # nothing is done twice
    assert bits_equal(resumed.trained, uninterrupted[0].trained)
    assert timeless(read_metrics(tmp_path)) == timeless(uninterrupted[1])


def test_a_run_that_died_goes_on_from_its_last_checkpoint(tmp_path, uninterrupted, silent):
    def die():
        raise OSError("pulled the plug")

    with pytest.raises(OSError, match="plug"):
        run_until(7, die, tmp_path)
    resumed = train_trees(tiny_model(), STAGES, SETTINGS, tmp_path, resume=True, report=silent)
    assert [m.step for m in resumed.history] == [6, 7, 8, 9]  # the end of stage one, at 5, was saved
    assert bits_equal(resumed.trained, uninterrupted[0].trained)
    assert timeless(read_metrics(tmp_path)) == timeless(uninterrupted[1])


ON_ANY_MESH = {"rows_per_step": 8, "shapes": 1, "save_every": 4}
WIDE = [Stage("one", tiny_trees(0, samples=40), steps=5), Stage("two", tiny_trees(1, samples=40), steps=4)]


def on_mesh(run_dir, mesh, last):
    """Train, or go on, in `run_dir` on a mesh; dies at the report of step `last`. Losses and weights, as lists."""

    def report(metrics):
        if metrics.step == last:
            raise OSError("pulled the plug")

    settings = tiny_settings(mesh=mesh, **ON_ANY_MESH)
    try:
        result = train_trees(
            tiny_model(), WIDE, settings, Path(run_dir), resume=True, report=report, say=lambda line: None
        )
    except OSError:
        return None
    weights = [np.asarray(leaf, np.float64).ravel().tolist() for leaf in jax.tree.leaves(result.trained)]
    return [[metrics.step, metrics.loss] for metrics in result.history], weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "count"),
    [({"data": 8}, {"data": 2}, 2), ({"data": 2, "fsdp": 2, "tensor": 2}, {"fsdp": 2}, 2)],
)
def test_a_run_of_eight_devices_goes_on_with_two(before, after, count, tmp_path):
    whole_losses, whole_weights = on_mesh(tmp_path / "whole", {"data": 1}, None)
    assert run_on_fake_devices(on_mesh, str(tmp_path / "moved"), before, 7) is None
    losses, weights = run_on_fake_devices(on_mesh, str(tmp_path / "moved"), after, None, count=count)
    assert [step for step, _ in losses] == [6, 7, 8, 9]
    np.testing.assert_allclose(losses, whole_losses[5:], rtol=1e-5)
    for found, wanted in zip(weights, whole_weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_the_second_stage_goes_on_with_the_adapter_of_the_first(uninterrupted, silent):
    whole = uninterrupted[0]
    assert [m.stage for m in whole.history] == ["one"] * 5 + ["two"] * 4
    assert whole.history[5].learning_rate == np.float32(1e-3)
    first = train_trees(tiny_model(), STAGES[:1], SETTINGS, report=silent)
    adapted = tiny_model()
    adapted.lora, adapted.lora_config = first.trained, first.lora_config
    # The seed of a run's second stage, for a run that has this stage only.
    alone = tiny_settings(shapes=1, seed=1_000_003)
    second = train_trees(adapted, STAGES[1:], alone, report=silent)
    assert bits_equal(second.trained, whole.trained)


def test_each_shape_is_compiled_once(uninterrupted):
    plans = plan_stages(STAGES, SETTINGS)
    shapes = sum(len({step.shape for step in plan.steps}) for plan in plans)
    assert sum(m.compile_seconds > 0 for m in uninterrupted[0].history) == shapes


def test_training_learns_and_leaves_the_callers_model_whole(silent):
    settings = tiny_settings(mode="full", shapes=1, optimiser={"learning_rate": 1e-2})
    model = tiny_model()
    before = jax.tree.map(np.array, model.params)
    result = train_trees(model, [Stage("s", tiny_trees(), steps=40)], settings, report=silent)
    assert result.history[-1].loss < 0.6 * result.history[0].loss
    assert bits_equal(model.params, before)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(silent):
    model = tiny_model()
    model.params["norm"] = model.params["norm"].at[0].set(jnp.nan)
    with pytest.raises(
        KcxError, match=r"loss of step 1 \(step 1 of one\) is nan.*samples are of 'tree [01]/"
    ):
        train_trees(model, STAGES, SETTINGS, report=silent)


def test_rows_that_do_not_fit_the_devices_are_refused(silent):
    with pytest.raises(UsageError, match="mesh"):
        train_trees(tiny_model(), STAGES, tiny_settings(mesh={"data": 3}), report=silent)


def test_an_adapter_of_another_shape_is_refused(uninterrupted, silent):
    model = tiny_model()
    model.lora, model.lora_config = uninterrupted[0].trained, uninterrupted[0].lora_config
    with pytest.raises(UsageError, match="rank=4"):
        train_trees(model, STAGES, tiny_settings(lora={"rank": 8}), report=silent)
    with pytest.raises(UsageError, match="merge the adapter"):
        train_trees(model, STAGES, tiny_settings(mode="full"), report=silent)


def test_stages_shuffle_the_same_data_differently():
    plans = plan_stages([Stage("a", tiny_trees()), Stage("b", tiny_trees())], SETTINGS)
    assert [s.rows for s in plans[0].steps] != [s.rows for s in plans[1].steps]
