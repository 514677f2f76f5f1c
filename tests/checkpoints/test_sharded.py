"""Loaded over eight devices = loaded on one, in values and logits; each device reads its part."""

import json

import numpy as np

from kcx_jax.testing.devices import run_on_fake_devices


def on_a_mesh(folder: str, adapter: str, ids: list[int], run_folder: str) -> dict:
    import jax

    from kcx_jax.checkpoints import RunStore, export_pretrained, load_pretrained, placing
    from kcx_jax.models import make_mesh

    read_bytes = 0
    whole_read = placing._read

    def counted(*arguments):
        nonlocal read_bytes
        part = whole_read(*arguments)
        read_bytes += part.nbytes
        return part

    placing._read = counted
    model = load_pretrained(folder, adapter, "float32", mesh=make_mesh(data=2, fsdp=2, tensor=2))
    placing._read = whole_read
    parts = {shard.data.shape for shard in model.params["layers"]["W_pack"].addressable_shards}
    with RunStore(run_folder) as store:
        store.save(1, {"lora": model.lora}, {})
    export_pretrained(model, run_folder + "/out")
    return {
        "logits": np.asarray(model.logits([ids] * 8))[3].tolist(),
        "new": model.generate([ids] * 8, 4, stop_id=None)[3].tolist(),
        "parts": [list(part) for part in parts],
        "read": read_bytes,
        "stored": sum(leaf.nbytes for leaf in jax.tree.leaves((model.params, model.lora))),
    }


def test_a_mesh_of_eight(adapted, tiny, prompts, tmp_path):
    ids = prompts["mix"]
    found = run_on_fake_devices(
        on_a_mesh, str(tiny / "base_fp32"), str(tiny / "adapter"), ids, str(tmp_path / "run")
    )
    golden = np.load(tiny / "golden" / "logits_adapter.npz")["mix.logits"]
    np.testing.assert_allclose(np.array(found["logits"]), golden, atol=1e-4, rtol=0)
    greedy = json.loads((tiny / "golden" / "generate.json").read_text())["greedy_adapter"]
    assert found["new"] == next(case["new_ids"][:4] for case in greedy if case["prompt"] == "mix")
    assert found["parts"] == [[3, 3 * 64 // 2, 64 // 2]]
    assert found["read"] < 1.3 * found["stored"]  # norms and A, B are partly replicated

    from kcx_jax.checkpoints import RunStore, load_pretrained

    with RunStore(tmp_path / "run") as store:  # written on eight devices, read on one
        lora = store.restore(1, {"lora": adapted.lora}).state["lora"]
    for kernel, pair in adapted.lora["layers"].items():
        for matrix, leaf in pair.items():
            np.testing.assert_array_equal(lora["layers"][kernel][matrix], leaf)
    merged = load_pretrained(tmp_path / "run" / "out", dtype="float32")
    tail = np.asarray(merged.logits([ids]))[0]
    np.testing.assert_allclose(tail, golden, atol=1e-4, rtol=0)
