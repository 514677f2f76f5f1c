"""What is written is what was meant, bit by bit, and nothing of the user's is lost."""

import json
import os
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from kcx_jax.checkpoints import export_pretrained, load_pretrained, save_pretrained
from kcx_jax.checkpoints.folder import parse_size
from kcx_jax.checkpoints.weights import open_weights
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import new_folder


def arrays(folder) -> dict[str, np.ndarray]:
    return {name: np.array(tensor.open()) for name, tensor in open_weights(folder).items()}


def assert_bit_equal(left: dict[str, np.ndarray], right: dict[str, np.ndarray]):
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert (array.dtype, array.shape) == (right[name].dtype, right[name].shape), name
        assert array.tobytes() == right[name].tobytes(), name


@pytest.mark.parametrize("shard_size", [None, "200KB", 1])
def test_import_export_import_is_bit_equal(tiny, tmp_path, shard_size):
    source = tiny / "base_bf16_safetensors_sharded"
    model = load_pretrained(source, dtype=None)
    out = export_pretrained(model, tmp_path / "out", shard_size=shard_size)
    assert_bit_equal(arrays(out), arrays(source))
    files = sorted(file.name for file in out.glob("*.safetensors"))
    assert len(files) == {None: 1, "200KB": 4, 1: 24}[shard_size]
    for name in ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"):
        assert json.loads((out / name).read_text()) == json.loads((source / name).read_text())
    assert (out / "tokenizer.model").read_bytes() == (source / "tokenizer.model").read_bytes()
    again = load_pretrained(out, dtype=None)
    assert again.fingerprint == model.fingerprint
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)


def test_save_pretrained_is_the_release_layout(base, tiny, tmp_path):
    out = save_pretrained(
        tmp_path / "deep" / "out", base.config, base.params, base.tokenizer, dtype="bfloat16"
    )
    assert_bit_equal(arrays(out), arrays(tiny / "base_bf16_safetensors_sharded"))
    config = json.loads((out / "config.json").read_text())
    assert config == json.loads((tiny / "base_bf16_safetensors_sharded" / "config.json").read_text())
    generation = json.loads((out / "generation_config.json").read_text())
    assert (generation["user_token_id"], generation["assistant_token_id"]) == (195, 196)


def test_the_merged_model_is_the_golden_one(adapted, tiny, tmp_path):
    found, expected = arrays(export_pretrained(adapted, tmp_path / "out")), arrays(tiny / "merged_fp32")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-6, rtol=0)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "rank 4, alpha 8 on W_pack" in card
    assert "Reserved symbols" in card


def test_merging_rounds_once(adapted, tiny, tmp_path):
    base = load_pretrained(tiny / "base_bf16_safetensors_sharded", dtype=None)
    config = replace(adapted.lora_config, targets=("W_pack",))
    pairs = {"layers": {"W_pack": adapted.lora["layers"]["W_pack"]}}
    model = replace(base, lora=pairs, lora_config=config)
    wide = arrays(export_pretrained(model, tmp_path / "wide", dtype="float32"))
    narrow = arrays(export_pretrained(model, tmp_path / "narrow"))
    name = "model.layers.1.self_attn.W_pack.weight"
    assert narrow[name].tobytes() == wide[name].astype(narrow[name].dtype).tobytes()
    assert not np.array_equal(wide[name], narrow[name].astype(np.float32))


def test_llama_tensors(base, tiny, tmp_path):
    raw = arrays(tiny / "base_fp32")
    found = arrays(export_pretrained(base, tmp_path / "out", format="llama", shard_size="300KB"))
    for layer in range(3):
        names = [f"model.layers.{layer}.self_attn.{letter}_proj.weight" for letter in "qkv"]
        fused = np.concatenate([found.pop(name) for name in names])
        np.testing.assert_array_equal(fused, raw.pop(f"model.layers.{layer}.self_attn.W_pack.weight"))
    head, raw_head = found.pop("lm_head.weight"), raw.pop("lm_head.weight").astype(np.float64)
    np.testing.assert_allclose(head, raw_head / np.linalg.norm(raw_head, axis=1, keepdims=True), atol=1e-6)
    assert_bit_equal(found, raw)


def test_the_exported_adapter_is_the_loaded_one(adapted, tiny, tmp_path):
    out = export_pretrained(adapted, tmp_path / "out", format="peft")
    again = load_pretrained(tiny / "base_fp32", out, dtype="float32")
    assert again.lora_config == adapted.lora_config
    jax.tree.map(np.testing.assert_array_equal, again.lora, adapted.lora)
    settings, golden = (
        json.loads((folder / "adapter_config.json").read_text()) for folder in (out, tiny / "adapter")
    )
    changed = {key for key, value in settings.items() if golden[key] != value}
    assert changed == {"base_model_name_or_path", "target_modules"}
    assert set(settings["target_modules"]) == set(golden["target_modules"])


def test_an_existing_folder_is_kept(base, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(KcxError, match="exists already"):
        export_pretrained(base, out)
    export_pretrained(base, out, overwrite=True)
    export_pretrained(base, out, overwrite=True)
    assert (tmp_path / "out.replaced" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "out.replaced-2" / "model.safetensors").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.replaced", "out.replaced-2"]


def test_a_failed_export_leaves_nothing(base, tmp_path):
    broken = {**base.params, "norm": base.params["norm"].at[0].set(np.inf)}
    with pytest.raises(KcxError, match=r"tensor model\.norm\.weight holds NaN or Inf"):
        save_pretrained(tmp_path / "out", base.config, broken, base.tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_changes_bytes_is_found_out(base, tmp_path, monkeypatch):
    from kcx_jax.checkpoints import export

    def damage(folder, tensors, shard_size):
        checksums = write(folder, tensors, shard_size)
        with (folder / "model.safetensors").open("r+b") as handle:
            handle.seek(-3, os.SEEK_END)
            handle.write(b"\x01")
        return checksums

    write = export.write_weights
    monkeypatch.setattr(export, "write_weights", damage)
    with pytest.raises(KcxError, match="reads back otherwise"):
        export_pretrained(base, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_calls_that_cannot_be(base, tmp_path):
    with pytest.raises(UsageError, match="without an adapter"):
        export_pretrained(base, tmp_path / "out", format="peft")
    with pytest.raises(UsageError, match="format must be one of baichuan, llama, peft"):
        export_pretrained(base, tmp_path / "out", format="gguf")
    with pytest.raises(UsageError, match="dtype must be one of"):
        export_pretrained(base, tmp_path / "out", dtype="int8")
    with pytest.raises(UsageError, match="shard size"):
        export_pretrained(base, tmp_path / "out", shard_size="big")
    (tmp_path / "file").write_text("")
    with pytest.raises(KcxError, match="cannot write"):
        export_pretrained(base, tmp_path / "file" / "out")
    with pytest.raises(KcxError, match="exists already"), new_folder(tmp_path / "file", overwrite=False):
        pass


@pytest.mark.parametrize(
    ("text", "size"), [("5GB", 5 * 10**9), ("1.5 MiB", 3 * 2**19), ("200kb", 200_000), (7, 7), (None, None)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "-1", "5 TB", "GB", "1e9", ""])
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError):
        parse_size(text)


def test_the_card_tells_of_the_runs_and_the_next_export_still_does(adapted, tiny, tmp_path):
    first, second = "data: [zh.jsonl]\n", "note: |-\n  ~~~~~\n  done\n"
    model = replace(adapted, training=(first, second))
    adapter = export_pretrained(model, tmp_path / "adapter", format="peft")
    merged = export_pretrained(model, tmp_path / "merged", format="llama")
    for out in (adapter, merged):
        card = (out / "README.md").read_text()
        assert f"\n~~~~~~yaml\n{first}---\n{second.rstrip()}\n~~~~~~\n" in card
    assert load_pretrained(tiny / "base_fp32", adapter).training == (first, second)
    assert load_pretrained(merged).training == (first, second)
    shutil.copytree(tiny / "base_fp32", tmp_path / "base")
    (tmp_path / "base" / "training.yaml").write_text(
        first
    )  # an adapter of a tuned base tells of the base's run too
    assert load_pretrained(tmp_path / "base", adapter).training == (first, second)
    (tmp_path / "base" / "training.yaml").write_bytes(b"\xff")
    with pytest.raises(KcxError, match=r"training\.yaml"):
        load_pretrained(tmp_path / "base")


def test_progress_counts_every_byte_in_and_twice_out(tiny, tmp_path):
    seen = []
    model = load_pretrained(tiny / "base_fp32", progress=lambda *counts: seen.append(counts))
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
    seen.clear()
    export_pretrained(model, tmp_path / "out", progress=lambda *counts: seen.append(counts))
    assert seen == sorted(seen)
    assert seen[-1] == (2 * size, 2 * size)
    assert (size, 2 * size) in seen


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_llama_layout_is_bit_equal_from_the_first_export_on(tiny, tmp_path, dtype):
    model = load_pretrained(tiny / "base_fp32", dtype=dtype)
    first = export_pretrained(model, tmp_path / "first", format="llama", shard_size="300KB")
    again = load_pretrained(first, dtype=None)
    second = export_pretrained(again, tmp_path / "second", format="llama", shard_size="300KB")
    assert_bit_equal(arrays(first), arrays(second))
    names = sorted(file.name for file in first.iterdir() if file.name != "README.md")
    assert names == sorted(file.name for file in second.iterdir() if file.name != "README.md")
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
