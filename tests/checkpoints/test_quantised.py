"""A base loaded in 8 bits: the same as one quantised afterwards, on one device and on eight; never exported."""

import jax
import numpy as np
import pytest

from kcx_jax.checkpoints import export_pretrained, load_pretrained
from kcx_jax.errors import UsageError
from kcx_jax.models import frozen_base, quantisation_of
from kcx_jax.testing.devices import run_on_fake_devices

KINDS = pytest.mark.parametrize("kind", ["int8", "fp8"])


def values(params) -> dict[str, np.ndarray]:
    found = jax.tree.flatten_with_path(params)[0]
    return {jax.tree_util.keystr(path): np.asarray(leaf, "f") for path, leaf in found}


@KINDS
def test_loading_quantises_as_the_device_would(kind, base, tiny, prompts):
    loaded = load_pretrained(tiny / "base_fp32", tiny / "adapter", "float32", base_dtype=kind)
    quantised = frozen_base(base.params, base.config, "float32", kind)
    found, expected = values(loaded.params), values(quantised)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    assert quantisation_of(loaded.params) == kind
    assert quantisation_of(base.params) is None
    golden = np.load(tiny / "golden" / "logits_adapter.npz")["mix.logits"]
    logits = np.asarray(loaded.logits([prompts["mix"]]))[0]
    assert np.linalg.norm(logits - golden) < {"int8": 0.05, "fp8": 0.25}[kind] * np.linalg.norm(golden)


def test_a_narrower_floating_base_is_computed_in_the_dtype(tiny):
    held = load_pretrained(tiny / "base_fp32", dtype="float32", base_dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(held.params)} == {"bfloat16"}
    assert held.module.dtype == np.float32


def test_what_is_not_exact_is_not_written_down(tiny, tmp_path):
    held = load_pretrained(tiny / "base_fp32", tiny / "adapter", "float32", base_dtype="int8")
    for format in ("baichuan", "llama"):
        with pytest.raises(UsageError, match=r"base_dtype='int8'.*to export it, load it again"):
            export_pretrained(held, tmp_path / format, format)
    with pytest.raises(UsageError, match="merge"):
        held.merged()
    assert export_pretrained(held, tmp_path / "adapter", "peft").is_dir()
    assert not (tmp_path / "llama").exists()


def test_an_unknown_or_another_base_dtype_is_refused(tiny):
    with pytest.raises(UsageError, match=r"base_dtype.*int8, fp8.*'int4'"):
        load_pretrained(tiny / "base_fp32", base_dtype="int4")
    held = load_pretrained(tiny / "base_fp32", dtype="float32", base_dtype="int8")
    with pytest.raises(UsageError, match="loaded in int8, and fp8 is asked for"):
        frozen_base(held.params, held.config, "float32", "fp8")
    assert values(frozen_base(held.params, held.config, "float32")).keys() == values(held.params).keys()


def on_a_mesh(folder: str, ids: list[int]) -> dict:
    from kcx_jax.checkpoints import load_pretrained
    from kcx_jax.models import make_mesh

    model = load_pretrained(folder, None, "float32", make_mesh(data=2, fsdp=2, tensor=2), base_dtype="int8")
    kernel = model.params["layers"]["W_pack"]
    return {
        "values": np.asarray(kernel.values).tolist(),
        "scale": np.asarray(kernel.scale).tolist(),
        "part": list(kernel.values.addressable_shards[0].data.shape),
        "logits": np.asarray(model.logits([ids] * 8))[3].tolist(),
    }


def test_on_eight_devices_as_on_one(tiny, prompts):
    ids = prompts["mix"][:12]
    found = run_on_fake_devices(on_a_mesh, str(tiny / "base_fp32"), ids)
    one = load_pretrained(tiny / "base_fp32", dtype="float32", base_dtype="int8")
    kernel = one.params["layers"]["W_pack"]
    assert found["part"] == [3, 3 * 64 // 2, 64 // 2]
    np.testing.assert_array_equal(np.array(found["values"]), kernel.values)
    np.testing.assert_array_equal(np.array(found["scale"], "f"), kernel.scale)
    np.testing.assert_allclose(np.array(found["logits"]), np.asarray(one.logits([ids]))[0], atol=1e-4)
