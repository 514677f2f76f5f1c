"""Two processes load one checkpoint, each its part of the bytes, and compute what one does."""

import numpy as np
import pytest

from kcx_jax.testing.processes import run_in_processes

pytestmark = pytest.mark.multiprocess


def loaded(folder: str, adapter: str, ids: list[int]) -> dict:
    """What one process reads and holds, and the logits they compute together."""
    import jax
    from jax.experimental.multihost_utils import process_allgather

    from kcx_jax.checkpoints import load_pretrained, placing
    from kcx_jax.models import make_mesh

    read = 0
    fill = placing._fill

    def counted(part, span, where, tensor):
        nonlocal read
        own = tensor.open

        class Opened:
            def __getitem__(self, index):
                nonlocal read
                some = own()[index]
                read += some.nbytes
                return some

        class Counted:
            name, file = tensor.name, tensor.file

            def open(self):
                return Opened()

        fill(part, span, where, Counted())

    placing._fill = counted
    model = load_pretrained(folder, adapter, "float32", mesh=make_mesh(fsdp=len(jax.devices())))
    held = [
        sum(shard.data.nbytes for leaf in jax.tree.leaves(tree) for shard in leaf.addressable_shards)
        for tree in (model.params, model.lora)
    ]
    return {
        "read": read,
        "held": held,
        "logits": np.asarray(process_allgather(model.logits([ids] * 2), tiled=True))[0, -1].tolist(),
    }


@pytest.mark.parametrize("kind", ["base_fp32", "base_bf16_bin_sharded"])
def test_each_process_reads_its_part(tiny, prompts, kind):
    arguments = (str(tiny / kind), str(tiny / "adapter"), prompts["mix"])
    (one,) = run_in_processes(loaded, *arguments, count=1)
    both = run_in_processes(loaded, *arguments, count=2)
    stored = 2 if "bf16" in kind else 4  # bytes of a weight in the base's files; in the adapter's there are 4
    for process in (one, *both):
        base, adapter = process["held"]
        assert process["read"] == base * stored / 4 + adapter
    for process in both:
        assert sum(process["held"]) < 0.52 * sum(one["held"])  # norms and a part of the adapter are in both
        np.testing.assert_allclose(process["logits"], one["logits"], atol=1e-5, rtol=0)
