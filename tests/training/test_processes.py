"""Two and four processes over gloo: the same plan, order, shapes and loss as one."""

import hashlib

import pytest
from numpy.testing import assert_allclose

from kcx_jax.testing.processes import run_in_processes

pytestmark = pytest.mark.multiprocess


def trained():
    """What a process sees of three steps on all devices there are."""
    import jax

    from kcx_jax.testing.tiny import tiny_model, tiny_settings, tiny_trees
    from kcx_jax.training import Stage, plan_stages, train_trees

    settings = tiny_settings(rows_per_step=4)
    stages = [Stage("s", tiny_trees(samples=40), steps=3)]
    (plan,) = plan_stages(stages, settings)
    result = train_trees(tiny_model(), stages, settings, report=lambda metrics: None)
    return {
        "devices": len(jax.devices()),
        "plan": hashlib.sha256(repr(plan).encode()).hexdigest(),
        "shapes": [list(step.shape) for step in plan.steps],
        "losses": [m.loss for m in result.history],
        "norms": [m.gradient_norm for m in result.history],
    }


def test_two_and_four_processes_train_as_one():
    (one,) = run_in_processes(trained, count=1)
    for count in (2, 4):
        first, *others = run_in_processes(trained, count=count)
        assert (one["devices"], first["devices"]) == (1, count)
        assert others == [first] * (count - 1)
        assert one["plan"] == first["plan"]
        assert one["shapes"] == first["shapes"]
        assert_allclose(first["losses"], one["losses"], rtol=1e-5)
        assert_allclose(first["norms"], one["norms"], rtol=1e-4)
