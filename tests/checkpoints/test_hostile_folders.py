"""A folder that does not hold what it says gives one error naming file, tensor, expected and found."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.checkpoints.tensor_file import read_header
from kcx_jax.errors import KcxError


@pytest.fixture
def single(tiny, tmp_path):
    return shutil.copytree(tiny / "base_fp32", tmp_path / "single", copy_function=shutil.copyfile)


@pytest.fixture
def sharded(tiny, tmp_path):
    source = tiny / "base_bf16_safetensors_sharded"
    return shutil.copytree(source, tmp_path / "sharded", copy_function=shutil.copyfile)


@pytest.fixture
def adapter(tiny, tmp_path):
    return shutil.copytree(tiny / "adapter", tmp_path / "adapter", copy_function=shutil.copyfile)


def rewrite(path, change):
    """Write the tensors of `path` again after `change(arrays)`."""
    arrays = {name: np.array(tensor.open()) for name, tensor in read_header(path).items()}
    change(arrays)
    save_file(arrays, path)


def edit_json(path, **changes):
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


def refuses(folder, message, **options):
    with pytest.raises(KcxError, match=message) as caught:
        load_pretrained(folder, **options)
    return str(caught.value)


def test_missing_unexpected_and_wrongly_shaped_tensors_in_one_error(single):
    def change(arrays):
        arrays["model.layers.7.x"] = arrays.pop("model.layers.1.mlp.up_proj.weight")
        arrays["lm_head.weight"] = arrays["lm_head.weight"][:-1]

    rewrite(single / "model.safetensors", change)
    message = refuses(single, str(single))
    assert "tensor model.layers.1.mlp.up_proj.weight is missing, expected [172, 64]" in message
    assert "tensor model.layers.7.x [172, 64] in model.safetensors is not expected" in message
    assert "lm_head.weight in model.safetensors: expected [2304, 64], found [2303, 64]" in message


def test_nan_is_named(single):
    def change(arrays):
        arrays["model.layers.2.self_attn.o_proj.weight"][3, 4] = np.nan

    rewrite(single / "model.safetensors", change)
    refuses(single, r"model\.layers\.2\.self_attn\.o_proj\.weight holds NaN or Inf")


def test_values_that_overflow_the_asked_dtype_are_named(single):
    def change(arrays):
        arrays["model.norm.weight"][0] = 1e5

    rewrite(single / "model.safetensors", change)
    refuses(single, r"model\.norm\.weight holds NaN or Inf as float16", dtype="float16")
    load_pretrained(single, dtype="bfloat16")


def test_truncated_file(single):
    path = single / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refuses(single, r"model\.safetensors is not a whole safetensors file")


def test_derived_buffers_are_skipped(single):
    def change(arrays):
        arrays["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.zeros(8, np.float32)

    rewrite(single / "model.safetensors", change)
    load_pretrained(single)


SHARD = "model-00002-of-00003.safetensors"


def test_missing_shard(sharded):
    (sharded / SHARD).unlink()
    refuses(sharded, f"cannot read .*{SHARD}")


def test_index_without_a_tensor_and_with_a_strange_one(sharded):
    index = sharded / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    name = "model.layers.1.self_attn.W_pack.weight"
    edit_json(index, weight_map={key: file for key, file in weight_map.items() if key != name})
    refuses(sharded, f"puts tensor {name} in no file, found in .*{weight_map[name]}")
    edit_json(index, weight_map={**weight_map, "strange": SHARD})
    refuses(sharded, f"puts tensor strange in {SHARD}, where it is not found")
    edit_json(index, weight_map=["a"])
    refuses(sharded, "expected a weight_map")


def test_a_tensor_in_two_shards(sharded):
    def change(arrays):
        arrays["model.embed_tokens.weight"] = np.zeros((2304, 64), np.float32)

    rewrite(sharded / "model-00003-of-00003.safetensors", change)
    refuses(sharded, r"tensor model\.embed_tokens\.weight is both in .*00001.* and in .*00003")


@pytest.mark.parametrize("file", ["../outside.safetensors", "/etc/passwd", "..", "a\\b", ""])
def test_index_pointing_outside(sharded, file):
    index = sharded / "model.safetensors.index.json"
    edit_json(index, weight_map={**json.loads(index.read_text())["weight_map"], "x": file})
    refuses(sharded, "points outside its folder")


def test_stale_second_layout(single, sharded):
    shutil.copyfile(sharded / "model.safetensors.index.json", single / "model.safetensors.index.json")
    refuses(single, "holds both")


def test_folders_without_weights_say_what_is_there(tiny, single):
    refuses(tiny / "base_bf16_bin_sharded", r"PyTorch pickles .*convert each: safetensors\.torch\.save_file")
    (single / "model.safetensors").rename(single / "weights.safetensors")
    refuses(single, "have neither the name")
    (single / "weights.safetensors").unlink()
    refuses(single, r"neither model\.safetensors nor")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"num_hidden_layers": 4}, r"model\.layers\.3\.input_layernorm\.weight is missing"),
        ({"vocab_size": 2303}, "2304 pieces, the model's vocab_size is only 2303"),
        ({"hidden_size": "64"}, "hidden_size"),
    ],
)
def test_other_configs(single, change, message):
    edit_json(single / "config.json", **change)
    assert str(single) in refuses(single, message)


def test_damaged_json(single):
    (single / "config.json").write_text("{")
    refuses(single, r"config\.json is not JSON")
    (single / "config.json").write_text("[]")
    refuses(single, r"config\.json: expected a JSON object")
    (single / "config.json").unlink()
    refuses(single, r"cannot read .*config\.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"use_dora": True}, "use_dora is True"),
        ({"rank_pattern": {"W_pack": 8}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        (
            {"target_modules": ["q_proj", "v_proj"]},
            r"target_modules \['q_proj', 'v_proj'\] cannot be adapted",
        ),
        ({"target_modules": ["W_pack"]}, r"down_proj\.lora_A\.weight .* is not expected"),
        ({"r": 8}, r"lora_A\.weight in adapter_model\.safetensors: expected \[8, 64\], found \[4, 64\]"),
        ({"r": "8"}, "must be numbers"),
        ({"lora_alpha": float("nan")}, "must be numbers"),
        ({"lora_dropout": "0"}, "must be numbers"),
        ({"lora_dropout": 2}, "dropout must be in"),
    ],
)
def test_adapters_that_do_not_fit(tiny, adapter, change, message):
    edit_json(adapter / "adapter_config.json", **change)
    refuses(tiny / "base_fp32", message, adapter=adapter)


def test_adapter_targets_by_pattern(tiny, adapter, adapted):
    edit_json(adapter / "adapter_config.json", target_modules=".*_proj|.*W_pack")
    assert load_pretrained(tiny / "base_fp32", adapter).lora_config == adapted.lora_config


def test_rank_stabilised_scale(tiny, adapter):
    edit_json(adapter / "adapter_config.json", use_rslora=True)
    assert load_pretrained(tiny / "base_fp32", adapter).lora_config.scale == 8 / 4**0.5


def test_adapter_without_weights(tiny, adapter):
    (adapter / "adapter_model.safetensors").unlink()
    refuses(tiny / "base_fp32", r"holds no adapter_model\.safetensors", adapter=adapter)
