"""A base is told from another by its config, tensors and values; how it is cut into files does not matter."""

from dataclasses import replace

import numpy as np
from safetensors.numpy import load_file, save_file

from kcx_jax.checkpoints.weights import fingerprint, open_weights


def test_what_changes_it(base, tiny, tmp_path):
    source = open_weights(tiny / "base_fp32")
    first = fingerprint(base.config, source)
    assert first == base.fingerprint
    assert first == fingerprint(base.config, dict(reversed(source.items())))
    other_config = fingerprint(replace(base.config, norm_eps=1e-5), source)
    assert [key for key in first if other_config[key] != first[key]] == ["config"]

    def differing(change) -> list[str]:
        tensors = load_file(tiny / "base_fp32" / "model.safetensors")
        change(tensors)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        save_file(tensors, folder / "model.safetensors")
        other = fingerprint(base.config, open_weights(folder))
        return [key for key in first if other[key] != first[key]]

    assert differing(lambda tensors: None) == []
    assert differing(lambda tensors: tensors.update(x=np.zeros(1, np.float32))) == ["tensors", "values"]
    assert differing(lambda tensors: tensors["model.norm.weight"].__setitem__(5, 2.0)) == ["values"]
    assert differing(lambda tensors: tensors["lm_head.weight"].__imul__(1.01)) == ["values"]


def test_a_dtype_changes_it_and_shards_do_not(base, tiny, tmp_path):
    sharded = open_weights(tiny / "base_bf16_safetensors_sharded")
    save_file(
        {name: np.array(tensor.open()) for name, tensor in sharded.items()}, tmp_path / "model.safetensors"
    )
    assert fingerprint(base.config, open_weights(tmp_path)) == fingerprint(base.config, sharded)
    assert fingerprint(base.config, sharded)["tensors"] != base.fingerprint["tensors"]
