"""Two processes over gloo: the same plan, order, shapes and loss as one."""

import hashlib

import pytest
from numpy.testing import assert_allclose

from kcx_jax.testing.processes import run_in_processes

pytestmark = pytest.mark.multiprocess


def trained():
    """What a process sees of three steps on all devices there are."""
    import jax

    from kcx_jax.data import token_tree
    from kcx_jax.models import ModelConfig, init_params
    from kcx_jax.training import LoopSettings, Stage, plan_stages, train_trees

    class Model:
        config = ModelConfig(vocab_size=64, hidden_size=32, intermediate_size=48, num_layers=2, num_heads=2)
        params = init_params(config, jax.random.key(0))
        lora = lora_config = None

    trees = [token_tree([5] * p, [([6] * (k % 5), [7 + k % 40, 2]) for k in range(40)]) for p in (9, 17)]
    settings = LoopSettings.model_validate(
        {"dtype": "float32", "rows_per_step": 4, "branches": 4, "shapes": 2, "lora": {"rank": 4}}
    )
    stages = [Stage("s", trees, steps=3)]
    (plan,) = plan_stages(stages, settings)
    result = train_trees(Model(), stages, settings, report=lambda metrics: None)
    return {
        "devices": len(jax.devices()),
        "plan": hashlib.sha256(repr(plan).encode()).hexdigest(),
        "shapes": [list(step.shape) for step in plan.steps],
        "losses": [m.loss for m in result.history],
        "norms": [m.gradient_norm for m in result.history],
    }


def test_two_processes_train_as_one():
    (one,) = run_in_processes(trained, count=1)
    first, second = run_in_processes(trained, count=2)
    assert (one["devices"], first["devices"]) == (1, 2)
    assert first == second
    assert one["plan"] == first["plan"]
    assert one["shapes"] == first["shapes"]
    assert_allclose(first["losses"], one["losses"], rtol=1e-5)
    assert_allclose(first["norms"], one["norms"], rtol=1e-4)
