"""Loaded checkpoints compute the golden logits and tokens, on one device and on a mesh."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from kcx_jax.checkpoints import LoadedModel, load_pretrained
from kcx_jax.checkpoints.weights import open_weights
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.ops.sampling import READ, Sampling, cut, weighed
from kcx_jax.testing.torch_file import whole_tensors, write_zip
from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.tokenizer.fast import tokenizer_json

SHORT = ("one", "zh", "mix", "chat", "rand31")


ALL = (*SHORT, "long")


def padded(prompts, names=ALL, left: bool = False) -> tuple[np.ndarray, list[int]]:
    lengths = [len(prompts[name]) for name in names]
    rows = np.zeros((len(names), max(lengths)), np.int32)
    for row, name in zip(rows, names, strict=True):
        row[slice(-len(prompts[name]), None) if left else slice(len(prompts[name]))] = prompts[name]
    return rows, lengths


def logits_of(model: LoadedModel, prompts) -> dict[str, np.ndarray]:
    """The logits [T, V] of each prompt, all computed as one right-padded batch."""
    rows, lengths = padded(prompts)
    logits = np.asarray(model.logits(rows, lengths))
    return {name: row[:length] for name, row, length in zip(ALL, logits, lengths, strict=True)}


def assert_golden(model: LoadedModel, golden, prompts):
    found = logits_of(model, prompts)
    for name in SHORT:
        np.testing.assert_allclose(found[name], golden[f"{name}.logits"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(found["long"][-8:], golden["long.logits_tail"], atol=2e-4, rtol=0)


def test_base(base, tiny, prompts):
    assert_golden(base, np.load(tiny / "golden" / "logits_base.npz"), prompts)


def test_adapter(adapted, tiny, prompts):
    assert_golden(adapted, np.load(tiny / "golden" / "logits_adapter.npz"), prompts)


def test_merged(tiny, prompts):
    golden = np.load(tiny / "golden" / "logits_merged.npz")
    found = logits_of(load_pretrained(tiny / "merged_fp32", dtype="float32"), prompts)
    for name in SHORT:
        np.testing.assert_allclose(found[name][-1], golden[f"{name}.logits_last"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize(
    ("dtype", "key", "tolerance"), [("float32", "bf16_upcast", 1e-4), ("bfloat16", "bf16_compute", 0.6)]
)
def test_sharded_bf16(tiny, prompts, kind, dtype, key, tolerance):
    model = load_pretrained(tiny / f"base_bf16_{kind}_sharded", dtype=dtype)
    golden = np.load(tiny / "golden" / "logits_base.npz")
    assert {leaf.dtype for leaf in jax.tree.leaves(model.params)} == {np.dtype(dtype)}
    for name, logits in logits_of(model, prompts).items():
        assert logits.dtype == np.float32
        if name in SHORT:
            np.testing.assert_allclose(
                logits[-1], golden[f"{key}.{name}.logits_last"], atol=tolerance, rtol=0
            )


def test_pickles_and_safetensors_of_one_model_are_one_base(tiny):
    one, other = (load_pretrained(tiny / f"base_bf16_{kind}_sharded") for kind in ("safetensors", "bin"))
    assert one.fingerprint == other.fingerprint
    for left, right in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_transposed_tensors_in_a_pickle(base, tiny, tmp_path):
    """A weight stored column by column is read row by row, on the device and in the fingerprint."""
    arrays = {name: tensor.open() for name, tensor in open_weights(tiny / "base_fp32").items()}
    turned = {name: np.array(array, order="F") for name, array in arrays.items()}
    for file in ("config.json", "tokenizer.model"):
        shutil.copyfile(tiny / "base_fp32" / file, tmp_path / file)
    storages = [array.tobytes(order="A") for array in turned.values()]
    write_zip(tmp_path / "pytorch_model.bin", whole_tensors(turned), storages)
    model = load_pretrained(tmp_path, dtype="float32")
    assert model.fingerprint == base.fingerprint
    for left, right in zip(jax.tree.leaves(model.params), jax.tree.leaves(base.params), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_the_stored_dtype_is_kept_when_asked(tiny):
    assert (
        load_pretrained(tiny / "base_bf16_safetensors_sharded", dtype=None).params["norm"].dtype == "bfloat16"
    )


def test_left_padded_rows_equal_single_ones(base, tiny, prompts):
    rows, lengths = padded(prompts, SHORT, left=True)
    last = np.asarray(base.logits(rows, lengths, left_padded=True))[:, -1]
    golden = np.load(tiny / "golden" / "logits_base.npz")["left_padded.logits_last"]
    np.testing.assert_allclose(last, golden, atol=1e-4, rtol=0)


@pytest.mark.parametrize("key", ["greedy", "greedy_adapter"])
def test_greedy_tokens(base, adapted, tiny, prompts, key):
    golden = json.loads((tiny / "golden" / "generate.json").read_text())[key]
    new = (adapted if key == "greedy_adapter" else base).generate(*padded_for_new(prompts), stop_id=None)
    assert new.tolist() == [case["new_ids"] for case in golden]


def test_repetition_penalty(base, tiny, prompts):
    golden = json.loads((tiny / "golden" / "generate.json").read_text())["greedy_repetition_penalty_1.1"]
    new = base.generate(*padded_for_new(prompts), stop_id=None, sampling=Sampling(repetition_penalty=1.1))
    assert new.tolist() == [case["new_ids"] for case in golden]


def test_the_first_step_of_sampling(base, tiny, prompts):
    golden = json.loads((tiny / "golden" / "generate.json").read_text())["sampling_first_step"]
    assert len(golden) == len(SHORT)
    for case in golden:
        ids = prompts[case["prompt"]]
        seen = np.zeros(base.config.vocab_size, np.uint8)
        seen[ids] = READ
        chat = Sampling(temperature=0.3, top_k=5, top_p=0.85, repetition_penalty=1.05)
        sampler = chat.sampler(base.config.vocab_size)
        scores = cut(weighed(base.logits([ids])[0, -1], np.arange(seen.size), seen, sampler), sampler)
        probabilities = np.asarray(jax.nn.softmax(scores))
        kept = np.flatnonzero(probabilities)
        assert set(kept) == set(case["ids"])
        np.testing.assert_allclose(probabilities[case["ids"]], case["probs"], atol=1e-3)


def test_drawn_tokens_follow_their_seed(base, prompts):
    rows = padded_for_new(prompts)
    warm = Sampling(temperature=1.0, top_k=50)
    first, again, other = (base.generate(*rows, sampling=replace(warm, seed=seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    only = Sampling(temperature=1.0, top_k=1, seed=3)
    assert (base.generate(*rows, sampling=only) == base.generate(*rows)).all()


def padded_for_new(prompts):
    rows, lengths = padded(prompts, SHORT)
    return rows, 24, lengths


def test_rows_end_with_the_stop_token(base, tiny, prompts):
    golden = json.loads((tiny / "golden" / "generate.json").read_text())["batch_with_eos"]
    new = base.generate(*padded_for_new(prompts), stop_id=golden["eos_token_id"])
    assert new.tolist() == golden["new_ids"]


def test_the_tokenizer_says_what_ends_an_answer(tiny, tmp_path):
    """config.json may name several end ids, or the base model's; answers are taught to end with this one."""
    for path in (tiny / "base_fp32").iterdir():
        (tmp_path / path.name).symlink_to(path)
    for name in ("tokenizer.model", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    with pytest.raises(KcxError, match=r"tokenizer\.model: No such file.*or in tokenizer\.json"):
        load_pretrained(tmp_path)
    content = tokenizer_json(load_tokenizer(tiny / "base_fp32"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<reserved_107>"}')
    model = load_pretrained(tmp_path)
    assert model.config.eos_id == model.module.config.eos_id == model.tokenizer.eos_id == 196


def test_a_tokenizer_larger_than_the_model_is_refused(tiny, tmp_path):
    for path in (tiny / "base_fp32").iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "tokenizer.model").unlink()
    content = tokenizer_json(load_tokenizer(tiny / "base_fp32"))
    content["added_tokens"].append({**content["added_tokens"][0], "id": 2304, "content": "<more>"})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(KcxError, match=r"the tokenizer has 2305 pieces, the model's vocab_size is only 2304"):
        load_pretrained(tmp_path)


def test_one_mesh_of_one_device_computes_the_same(base, tiny, prompts):
    from kcx_jax.models import make_mesh

    model = load_pretrained(
        tiny / "base_fp32", tiny / "adapter", "float32", mesh=make_mesh(jax.devices()[:1])
    )
    assert_golden(model, np.load(tiny / "golden" / "logits_adapter.npz"), prompts)


def test_calls_that_cannot_be(base):
    with pytest.raises(UsageError, match="vocabulary, 0 to 2303"):
        base.logits([[2304]])
    with pytest.raises(UsageError, match="whole numbers"):
        base.logits([1, 2])
    with pytest.raises(UsageError, match="lengths must be 1 numbers from 1 to 2"):
        base.logits([[1, 2]], lengths=[3])
    with pytest.raises(UsageError, match="4096 positions"):
        base.generate([[1]], 4096)
    with pytest.raises(UsageError, match="dtype must be one of"):
        load_pretrained("x", dtype="int8")
    with pytest.raises(KcxError, match="no folder /nowhere"):
        load_pretrained("/nowhere/at/all")
