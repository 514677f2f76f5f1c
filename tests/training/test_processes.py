"""Two and four processes over gloo: the same plan, order, shapes and loss as one."""

import hashlib
from pathlib import Path

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


def trained_while_the_first_is_late(values):
    """What lies in a run folder as a process returns, the first being slow to read files and to sum up."""
    import json
    import time

    import jax

    from kcx_jax.training import run, summary, train
    from kcx_jax.training.config import parse_config

    def late(do):
        def done(*arguments):
            time.sleep(3 * (jax.process_index() == 0))
            return do(*arguments)

        return done

    run._stages, summary._write = late(run._stages), late(summary._write)
    train(parse_config(values), report=lambda metrics: None, say=lambda line: None)
    run_dir = Path(values["run_dir"])
    return {
        "files": sorted(path.name for path in run_dir.iterdir()),
        "status": json.loads((run_dir / "summary.json").read_text())["status"],
    }


def test_a_run_is_begun_and_ended_by_its_first_process(plain_config):
    first, second = run_in_processes(trained_while_the_first_is_late, plain_config)
    assert first == second
    assert {"config.yaml", "adapter"} <= set(first["files"])
    assert first["status"] == "done"


def gathered():
    """What one process sees of an array in parts and of one that all have."""
    import jax
    import numpy as np
    from jax.sharding import NamedSharding, PartitionSpec

    from kcx_jax.models import make_mesh
    from kcx_jax.training.processes import whole

    numbers, mesh = np.arange(8), make_mesh(fsdp=jax.device_count())
    arrays = [
        jax.make_array_from_callback((8,), NamedSharding(mesh, PartitionSpec(axis)), numbers.__getitem__)
        for axis in ("fsdp", None)
    ]
    return [np.asarray(array).tolist() for array in whole(arrays)]


def test_each_process_gets_the_whole_of_what_lies_in_parts():
    assert run_in_processes(gathered, count=2) == [[list(range(8))] * 2] * 2
