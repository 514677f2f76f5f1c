"""A folder that does not hold what it says gives one error naming file, tensor, expected and found."""

import json
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.checkpoints.describe import describe
from kcx_jax.checkpoints.tensor_file import read_header
from kcx_jax.errors import KcxError
from kcx_jax.testing.torch_file import called, state_dict, text, write_torch_file, write_zip


@pytest.fixture
def single(tiny, tmp_path):
    return shutil.copytree(tiny / "base_fp32", tmp_path / "single", copy_function=shutil.copyfile)


@pytest.fixture(params=["safetensors", "bin"])
def sharded(request, tiny, tmp_path):
    source = tiny / f"base_bf16_{request.param}_sharded"
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


def index_of(folder):
    return next(folder.glob("*.index.json"))


def test_missing_shard(sharded):
    shard = sorted(set(json.loads(index_of(sharded).read_text())["weight_map"].values()))[1]
    (sharded / shard).unlink()
    refuses(sharded, f"cannot read .*{shard}")


def test_index_without_a_tensor_and_with_a_strange_one(sharded):
    index = index_of(sharded)
    weight_map = json.loads(index.read_text())["weight_map"]
    name = "model.layers.1.self_attn.W_pack.weight"
    edit_json(index, weight_map={key: file for key, file in weight_map.items() if key != name})
    refuses(sharded, f"puts tensor {name} in no file, found in .*{weight_map[name]}")
    edit_json(index, weight_map={**weight_map, "strange": weight_map[name]})
    refuses(sharded, f"puts tensor strange in {weight_map[name]}, where it is not found")
    edit_json(index, weight_map=["a"])
    refuses(sharded, "expected a weight_map")


def test_a_tensor_in_two_shards(sharded):
    index = index_of(sharded)
    weight_map = json.loads(index.read_text())["weight_map"]
    first, *_, last = sorted(set(weight_map.values()))
    shutil.copyfile(sharded / first, sharded / last)
    refuses(sharded, rf"tensor model\.embed_tokens\.weight is both in .*{first} and in .*{last}")


@pytest.mark.parametrize("file", ["../outside.safetensors", "/etc/passwd", "..", "a\\b", ""])
def test_index_pointing_outside(sharded, file):
    index = index_of(sharded)
    edit_json(index, weight_map={**json.loads(index.read_text())["weight_map"], "x": file})
    refuses(sharded, "points outside its folder")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_stale_second_layout(single, name):
    (single / "model.safetensors").rename(single / name)
    (single / f"{name}.index.json").write_text("{}")
    refuses(single, f"holds both {name} and {name}.index.json")


def test_safetensors_are_preferred(single, base):
    (single / "pytorch_model.bin").write_bytes(b"never opened")
    (single / "pytorch_model.bin.index.json").write_text("never opened")
    assert load_pretrained(single, dtype="float32").fingerprint == base.fingerprint


def test_a_pickle_that_would_run_something(single):
    record = state_dict({"lm_head.weight": called("posix", "system", text("true"))})
    write_zip(single / "pytorch_model.bin", record, [])
    (single / "model.safetensors").unlink()
    refuses(single, r"pytorch_model\.bin: its pickle asks for 'posix\.system'.* nothing in it was run")


def test_derived_buffers_of_pickles_are_skipped(single):
    arrays = {name: tensor.open() for name, tensor in read_header(single / "model.safetensors").items()}
    arrays["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.zeros(8, np.float32)
    write_torch_file(single / "pytorch_model.bin", arrays)
    (single / "model.safetensors").unlink()
    load_pretrained(single)


def test_folders_without_weights_say_what_is_there(single):
    (single / "model.safetensors").rename(single / "weights.safetensors")
    refuses(single, r"its \.safetensors files have neither the name")
    (single / "weights.safetensors").rename(single / "weights.bin")
    refuses(single, r"its \.bin files have neither the name pytorch_model\.bin nor an index")
    (single / "weights.bin").unlink()
    refuses(single, r"none of model\.safetensors, .*, pytorch_model\.bin\.index\.json is there")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gemma"}, "model_type is 'gemma'"),
        ({"model_type": "llama"}, r"q_proj\.weight is missing"),
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
        ({"rank_pattern": {"W_pack": 8}}, r"W_pack\.lora_A\.weight .* expected \[8, 64\], found \[4, 64\]"),
        ({"rank_pattern": {"layers.0.self_attn.W_pack": 4}}, "rank_pattern has 'layers.0.self_attn.W_pack'"),
        ({"rank_pattern": {"W_pack": "4"}}, "rank_pattern of 'W_pack' must be a number"),
        ({"alpha_pattern": ["W_pack"]}, "alpha_pattern must be an object"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        (
            {"target_modules": ["embed_tokens", "W_pack"]},
            r"target_modules \['embed_tokens'\] cannot be adapted",
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
    assert load_pretrained(tiny / "base_fp32", adapter).lora_config.scale_of("W_pack") == 8 / 4**0.5


def test_adapter_without_weights(tiny, adapter):
    (adapter / "adapter_model.safetensors").unlink()
    message = r"holds neither adapter_model\.safetensors nor adapter_model\.bin"
    refuses(tiny / "base_fp32", message, adapter=adapter)
    with pytest.raises(KcxError, match=message):
        describe(adapter)


def test_old_adapters(tiny, adapter, adapted):
    arrays = {
        name: np.array(tensor.open())
        for name, tensor in read_header(adapter / "adapter_model.safetensors").items()
    }
    (adapter / "adapter_model.bin").write_bytes(b"not opened beside safetensors")
    load_pretrained(tiny / "base_fp32", adapter)
    (adapter / "adapter_model.safetensors").unlink()
    refuses(tiny / "base_fp32", r"adapter_model\.bin is not a whole PyTorch file", adapter=adapter)
    write_torch_file(adapter / "adapter_model.bin", arrays)
    model = load_pretrained(tiny / "base_fp32", adapter, dtype="float32")
    for left, right in zip(jax.tree.leaves(model.lora), jax.tree.leaves(adapted.lora), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))
    told = describe(adapter)
    assert (told.files, told.parameters) == (("adapter_model.bin",), sum(a.size for a in arrays.values()))
    arrays.popitem()
    write_torch_file(adapter / "adapter_model.bin", arrays)
    refuses(tiny / "base_fp32", r"lora_B\.weight is missing", adapter=adapter)
