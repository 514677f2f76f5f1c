"""The step on packed trees equals the samples one by one, the fixture's goldens, and itself on 8 devices."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.data import TreeBatch, arrange, pack_step
from kcx_jax.lora import LoraConfig
from kcx_jax.models import Transformer, init_lora, make_mesh
from kcx_jax.ops import Causal
from kcx_jax.testing.devices import run_on_fake_devices
from kcx_jax.testing.tiny import TINY, tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import loop
from kcx_jax.training.loop import Stage, plan_stages, train_trees
from kcx_jax.training.step import initial_state, make_step, put_batch, summed_loss

WIDTH = 40  # of a plain row: one compilation for all samples


@partial(jax.jit, static_argnums=0)
def sample_gradient(module, variables, text_T, length, answer):
    """Loss of one sample as a plain row, by an own cross-entropy, and its gradient in all variables."""

    def loss(variables):
        layout = Causal(length[None])
        hidden, _ = module.apply(variables, text_T[None], layout.positions(WIDTH), layout)
        scores = jax.nn.log_softmax(module.apply(variables, hidden, method="logits")[0], axis=-1)
        steps = jnp.arange(1, WIDTH)
        wanted = (steps >= length - answer) & (steps < length)
        return -jnp.sum(jnp.where(wanted, scores[steps - 1, text_T[1:]], 0))

    return jax.value_and_grad(loss)(variables)


def one_by_one(module, variables, trees, step):
    """Summed loss and gradient of a step's samples, one at a time."""
    results = []
    for row in (row for row in step.rows if row.counted):
        tree = trees[row.tree]
        for branch in (tree.branches[i] for i in row.branches):
            text = np.concatenate([tree.prefix, branch.context, branch.answer])
            padded = np.pad(text, (0, WIDTH - len(text)), constant_values=9)
            results.append(sample_gradient(module, variables, padded, len(text), len(branch.answer)))
    return jax.tree.map(lambda *values: sum(values), *results)


@pytest.mark.parametrize("packing", ["tree", "plain", "none"])
def test_a_step_equals_its_samples_one_by_one(packing, silent):
    settings = tiny_settings(packing=packing, row_tokens=70)
    stage = Stage("s", tiny_trees(), steps=1)
    trees = arrange(stage.trees, packing)
    (step,) = plan_stages([stage], settings)[0].steps
    with jax.enable_x64(True):
        module = Transformer(TINY, LoraConfig(rank=4), jnp.float64)
        params = jax.tree.map(lambda x: x.astype(jnp.float64), tiny_model().params)
        lora = init_lora(TINY, module.lora, jax.random.key(1), jnp.float64)
        variables = {"params": params, "lora": jax.tree.map(lambda x: x + 0.05, lora)}  # B is zero at first
        batch = TreeBatch(*map(jnp.asarray, pack_step(trees, step)))

        def packed(variables):
            return summed_loss(module, variables, batch, train_head=True)[0]

        loss, gradient = jax.jit(jax.value_and_grad(packed))(variables)
        expected, expected_gradient = one_by_one(module, variables, trees, step)
        assert_allclose(loss, expected, rtol=1e-9)
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(expected_gradient), strict=True)
        for found, wanted in pairs:
            assert jnp.linalg.norm(found - wanted) <= 1e-9 * jnp.linalg.norm(wanted)
        unadapted = variables | {"lora": jax.tree.map(jnp.zeros_like, lora)}
        base_loss, _ = one_by_one(module, unadapted, trees, step)
    # And the loop reports the mean over the targets of all rows.
    (metrics,) = train_trees(tiny_model(), [stage], settings, report=silent).history
    assert metrics.loss == pytest.approx(float(base_loss) / step.targets, rel=1e-5)
    assert metrics.targets == step.targets


@pytest.mark.parametrize(
    ("collection", "dtype", "tolerance"),
    [("lora", "float64", 1e-9), ("params", "float64", 1e-9), ("lora", "float32", 1e-5)],
)
def test_a_step_in_parts_is_the_step_at_once(collection, dtype, tolerance):
    trees = tiny_trees()
    (planned,) = plan_stages([Stage("s", trees, steps=1)], tiny_settings(rows_per_step=6))[0].steps
    with jax.enable_x64(True):
        module = Transformer(TINY, LoraConfig(rank=4), jnp.dtype(dtype))
        lora = init_lora(TINY, module.lora, jax.random.key(1), dtype)
        values = {"lora": jax.tree.map(lambda x: x + 0.05, lora), "params": tiny_model().params}
        values = jax.tree.map(lambda x: x.astype(dtype), values)
        trained, mesh = values.pop(collection), make_mesh()
        batch = pack_step(trees, planned)
        assert len(set(batch.target_mask_RM.sum(axis=1).tolist())) > 1  # parts weigh unequally
        found = []
        with jax.set_mesh(mesh):
            for parts in (1, 3):
                owned = jax.device_put(trained, NamedSharding(mesh, PartitionSpec()))
                owned = jax.tree.map(jnp.copy, owned)  # the step gives its state away
                optimiser = optax.trace(decay=0)  # its state is the gradient
                state = initial_state(owned, optimiser, mesh)
                step = make_step(module, optimiser, collection, state, accumulate=parts)
                state, result = step(state, values, put_batch(batch, mesh))
                found.append((result.loss, result.gradient_norm, state.optimiser))
        at_once, in_parts = ((loss, norm, *jax.tree.leaves(gradient)) for loss, norm, gradient in found)
        # Rounding to 24 bits shows in a leaf whose gradient nearly vanishes: there the whole gradient is the measure.
        whole = 0.0 if dtype == "float64" else at_once[1]
        for one, other in zip(at_once, in_parts, strict=True):
            assert jnp.linalg.norm(one - other) <= tolerance * jnp.maximum(whole, jnp.linalg.norm(one))


def plain_rows(arrays, name, width):
    """A fixture batch of plain rows as trees that are all prefix, padded to `width`."""
    tokens, real, labels = (arrays[f"{name}.{key}"] for key in ("input_ids", "attention_mask", "labels"))
    padding = ((0, 0), (0, width - tokens.shape[1]))
    tokens, labels = np.pad(tokens, padding), np.pad(labels, padding, constant_values=-100)
    steps = np.broadcast_to(np.arange(width), tokens.shape)
    nothing = np.zeros((len(tokens), 1), np.int64)
    # Hidden state at t against the label at t + 1.
    wanted = np.pad(labels[:, 1:], ((0, 0), (0, 1)), constant_values=-100)
    batch = TreeBatch(
        tokens,
        steps,
        steps,
        real.sum(axis=1),
        nothing[:, :, None],
        nothing,
        steps,
        steps,
        np.maximum(wanted, 0),
        wanted != -100,
    )
    return TreeBatch(*(np.asarray(array, np.int32) for array in batch))


@pytest.mark.parametrize("name", ["adamw_plain", "adamw_decay_clip"])
def test_the_fixtures_adamw_runs(shared, name, monkeypatch):
    """Through the whole loop, which is given the fixture's batches: their labels are those of no tree."""
    folder = shared / "fixtures" / "baichuan2_tiny"
    golden = json.loads((folder / "golden" / "train.json").read_text())[name]
    arrays = np.load(folder / "golden" / "train_batches.npz")
    model = load_pretrained(folder / "base_fp32", folder / "adapter", dtype="float32", mesh=make_mesh())
    optimiser = {
        "learning_rate": golden["lr"],
        "schedule": "constant",
        "warmup": 0,
        "weight_decay": golden["weight_decay"],
        "clip": golden["max_grad_norm"],
        "epsilon": golden["eps"],
        "beta1": golden["betas"][0],
        "beta2": golden["betas"][1],
    }
    batches = {n: plain_rows(arrays, f"batch{n}", 35) for n in (0, 1)}
    order = golden["batch_order"]
    monkeypatch.setattr(loop, "batch_iterator", lambda *_: iter([batches[number] for number in order]))
    adapter = {"rank": model.lora_config.rank, "alpha": model.lora_config.alpha}
    settings = tiny_settings(rows_per_step=3, optimiser=optimiser, lora=adapter)
    result = train_trees(
        model, [Stage("s", tiny_trees(), steps=len(order))], settings, report=lambda metrics: None
    )
    assert_allclose([m.loss for m in result.history], golden["losses_before_each_step"], atol=2e-4)
    assert_allclose(
        [m.gradient_norm for m in result.history], golden["grad_norms_before_clipping"], rtol=1e-3
    )
    final = np.load(folder / "golden" / f"{name}_final_adapter.npz")
    layers = result.trained["layers"]
    for key in final:
        _, _, _, _, layer, _, kernel, side, _ = key.split(".")
        assert_allclose(layers[kernel][side[-1]][int(layer)], final[key], atol=5e-4)


def curves(mesh, mode):
    """Losses, gradient norms and two numbers a final weight of three steps on a mesh."""
    settings = tiny_settings(mode=mode, mesh=mesh, rows_per_step=8, shapes=1)
    stages = [Stage("s", tiny_trees(samples=40), steps=3)]
    result = train_trees(tiny_model(), stages, settings, report=lambda metrics: None)
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(result.trained)]
    weights = [[float(np.linalg.norm(leaf)), float(leaf.sum())] for leaf in leaves]
    return [m.loss for m in result.history], [m.gradient_norm for m in result.history], weights


def all_curves(meshes, mode):
    return [curves(mesh, mode) for mesh in meshes]


EVERY_AXIS, DATA_ONLY = {"data": 2, "fsdp": 2, "tensor": 2}, {"data": 8}


@pytest.mark.parametrize(
    ("mode", "meshes"),
    [
        ("lora", [EVERY_AXIS]),
        pytest.param("lora", [DATA_ONLY], marks=pytest.mark.slow),
        pytest.param("full", [EVERY_AXIS, DATA_ONLY], marks=pytest.mark.slow),
    ],
)
def test_eight_devices_equal_one(mode, meshes):
    one = curves({"data": 1}, mode)
    for many in run_on_fake_devices(all_curves, meshes, mode):
        for found, wanted in zip(many, one, strict=True):
            assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
