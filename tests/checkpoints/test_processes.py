"""Two processes load one checkpoint, each its part of the bytes, and compute what one does."""

import numpy as np
import pytest

from kcx_jax.testing.processes import run_in_processes

pytestmark = pytest.mark.multiprocess


def loaded(folder: str, adapter: str, ids: list[int]) -> dict:
    """How many elements one process reads and holds, and the logits they compute together."""
    import jax
    from jax.experimental.multihost_utils import process_allgather

    from kcx_jax.checkpoints import load_pretrained, placing
    from kcx_jax.models import make_mesh

    read = 0
    is_finite = placing.is_finite

    def counted(values):
        nonlocal read
        read += values.size
        return is_finite(values)  # asked of every block that was read, once

    placing.is_finite = counted
    model = load_pretrained(folder, adapter, "float32", mesh=make_mesh(fsdp=len(jax.devices())))
    leaves = jax.tree.leaves((model.params, model.lora))
    return {
        "read": read,
        "held": sum(shard.data.size for leaf in leaves for shard in leaf.addressable_shards),
        "logits": np.asarray(process_allgather(model.logits([ids] * 2), tiled=True))[0, -1].tolist(),
    }


@pytest.mark.parametrize("kind", ["base_fp32", "base_bf16_bin_sharded"])
def test_each_process_reads_its_part(tiny, prompts, kind):
    arguments = (str(tiny / kind), str(tiny / "adapter"), prompts["mix"])
    (one,) = run_in_processes(loaded, *arguments, count=1)
    both = run_in_processes(loaded, *arguments, count=2)
    for process in (one, *both):
        assert process["read"] == process["held"]
    for process in both:
        assert process["held"] < 0.52 * one["held"]  # norms and a part of the adapter are in both
        np.testing.assert_allclose(process["logits"], one["logits"], atol=1e-5, rtol=0)
