"""The tiny checkpoint's golden values: two PyTorch implementations agreed on them."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.models import Transformer
from kcx_jax.ops import Causal, answer_loss, inverse_row_norms

SHORT = ("one", "zh", "mix", "chat", "rand31")


@pytest.fixture(scope="module")
def prompts(golden):
    return json.loads((golden.folder / "golden" / "prompts.json").read_text())


def run(module, variables, rows, left_padded=False):
    """Logits of rows of ids, padded to one width."""
    width = max(map(len, rows))
    tokens = np.zeros((len(rows), width), np.int32)
    for row, ids in zip(tokens, rows, strict=True):
        row[slice(width - len(ids), None) if left_padded else slice(len(ids))] = ids
    layout = Causal(jnp.asarray([len(ids) for ids in rows]), left_padded=left_padded)

    @jax.jit
    def logits(variables):
        hidden, _ = module.apply(variables, tokens, layout.positions(width), layout)
        return module.apply(variables, hidden, method="logits")

    return logits(variables)


def check(expected, found, rows, tail):
    for row, (name, ids) in zip(found, rows.items(), strict=True):
        if name == "long":
            assert_allclose(row[: len(ids)][-8:], expected["long.logits_tail"], atol=2e-4, rtol=0)
        elif tail:
            assert_allclose(row[len(ids) - 1], expected[f"{name}.logits_last"], atol=1e-4, rtol=0)
        else:
            assert_allclose(row[: len(ids)], expected[f"{name}.logits"], atol=1e-4, rtol=0)


def test_base(golden, prompts):
    expected = np.load(golden.folder / "golden" / "logits_base.npz")
    found = run(Transformer(golden.base.config), {"params": golden.base.params}, list(prompts.values()))
    check(expected, found, prompts, tail=False)


def test_adapter(golden, prompts):
    expected = np.load(golden.folder / "golden" / "logits_adapter.npz")
    module = Transformer(golden.base.config, golden.lora_config)
    variables = {"params": golden.base.params, "lora": golden.lora}
    check(expected, run(module, variables, list(prompts.values())), prompts, tail=False)


def test_merged(golden, prompts, load_checkpoint):
    from kcx_jax.lora import merge

    expected = np.load(golden.folder / "golden" / "logits_merged.npz")
    short = {name: prompts[name] for name in SHORT}
    ours = merge(golden.base.params, golden.lora, golden.lora_config, golden.base.config.qkv_rows)
    theirs = load_checkpoint(golden.folder / "merged_fp32").params
    jax.tree.map(lambda a, b: assert_allclose(a, b, atol=1e-6, rtol=0), ours, theirs)
    for params in (ours, theirs):
        found = run(Transformer(golden.base.config), {"params": params}, list(short.values()))
        check(expected, found, short, tail=True)


def test_left_padded(golden, prompts):
    expected = np.load(golden.folder / "golden" / "logits_base.npz")["left_padded.logits_last"]
    rows = [prompts[name] for name in SHORT]
    found = run(Transformer(golden.base.config), {"params": golden.base.params}, rows, left_padded=True)
    assert jnp.isfinite(found).all()
    assert_allclose(found[:, -1], expected, atol=1e-4, rtol=0)


def test_hidden_states(golden, prompts):
    expected = np.load(golden.folder / "golden" / "logits_base.npz")["mix.hidden_states"]
    tokens = jnp.asarray([prompts["mix"]])
    layout = Causal(jnp.asarray([tokens.shape[1]]))
    params = golden.base.params
    apply = jax.jit(partial(Transformer(golden.base.config).apply, mutable="intermediates"))
    (hidden, _), sown = apply({"params": params}, tokens, layout.positions(tokens.shape[1]), layout)
    (layers,) = sown["intermediates"]["layers"]["hidden"]
    found = jnp.stack([params["embed_tokens"][tokens[0]], *layers[:, 0], hidden[0]])
    assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_bfloat16_weights_raised_and_computed(golden, prompts, load_checkpoint):
    expected = np.load(golden.folder / "golden" / "logits_base.npz")
    config, params = load_checkpoint(golden.folder / "base_bf16_safetensors_sharded")
    assert params["lm_head"].dtype == jnp.bfloat16
    for kind, dtype, tolerance in (("upcast", jnp.float32, 1e-4), ("compute", jnp.bfloat16, 0.6)):
        found = run(Transformer(config, dtype=dtype), {"params": params}, [prompts[n] for n in SHORT])
        assert found.dtype == jnp.float32
        for row, name in zip(found, SHORT, strict=True):
            target = expected[f"bf16_{kind}.{name}.logits_last"]
            assert_allclose(row[len(prompts[name]) - 1], target, atol=tolerance, rtol=0)


def training_loss(golden, index, adapted):
    """A function from the adapter to batch `index`'s mean loss, and the number of targets."""
    data = np.load(golden.folder / "golden" / "train_batches.npz")
    ids, attended, labels = (data[f"batch{index}.{k}"] for k in ("input_ids", "attention_mask", "labels"))
    # Every position is a target slot; position t is scored against label t + 1 where that is not ignored.
    position = np.broadcast_to(np.arange(ids.shape[1] - 1), labels[:, 1:].shape)
    real = labels[:, 1:] != -100
    layout = Causal(jnp.asarray(attended.sum(1)))
    module = Transformer(golden.base.config, golden.lora_config if adapted else None)
    head = golden.base.params["lm_head"]

    def mean_loss(lora):
        variables = {"params": golden.base.params, "lora": lora}
        hidden, _ = module.apply(variables, ids, layout.positions(ids.shape[1]), layout)
        labels_or_zero = jnp.where(real, labels[:, 1:], 0)
        total, count = answer_loss(hidden, head, inverse_row_norms(head), position, labels_or_zero, real)
        return total / count

    return mean_loss, real.sum()


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("index", [0, 1])
def test_training_losses(golden, index, adapted):
    wanted = json.loads((golden.folder / "golden" / "train.json").read_text())["batches"][index]
    mean_loss, targets = training_loss(golden, index, adapted)
    assert targets == wanted["targets"]
    expected = wanted["adapter_loss" if adapted else "base_loss"]
    assert_allclose(jax.jit(mean_loss)(golden.lora), expected, atol=2e-4, rtol=0)


def test_adapter_gradients(golden, load_adapter_tensors):
    tensors = dict(np.load(golden.folder / "golden" / "grads_batch0.npz"))
    expected = load_adapter_tensors(tensors, golden.base.config.num_layers)
    mean_loss, _ = training_loss(golden, 0, adapted=True)
    found = jax.jit(jax.grad(mean_loss))(golden.lora)
    jax.tree.map(lambda a, b: assert_allclose(a, b, atol=1e-4, rtol=0), found, expected)
