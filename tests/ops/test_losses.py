"""The answers' loss against log-softmax over all tokens, on one device and on eight.

Shapes: R = rows, T = tokens, D = hidden size, M = targets of a row, V = vocabulary.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.ops import answer_loss, inverse_row_norms
from kcx_jax.testing.devices import run_on_fake_devices


def problem(R=3, T=9, D=8, V=13, M=5, seed=0):
    """Random hidden states, a head with rows of any length, targets with repeated positions and padding."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(R, T, D))
    head = rng.normal(size=(V, D)) * rng.uniform(0.1, 5, size=(V, 1))
    position = rng.integers(0, T, (R, M))
    position[:, 1] = position[:, 0]
    mask = rng.random((R, M)) < 0.7
    mask[0] = False
    return hidden, head, position, rng.integers(0, V, (R, M)), mask


def every_token(hidden, head, position, label, mask, z):
    """The definition: logits of all tokens with normalised rows, log-softmax, targets picked last."""
    logits = hidden @ (head / jnp.linalg.norm(head, axis=1, keepdims=True)).T
    rows = np.arange(hidden.shape[0])[:, None]
    chosen = jax.nn.log_softmax(logits)[rows, position, label]
    return jnp.sum(mask * (z * logits.max(-1)[rows, position] ** 2 - chosen))


def ours(hidden, head, position, label, mask, **options):
    return answer_loss(hidden, head, inverse_row_norms(head), position, label, mask, **options)


@pytest.mark.parametrize("z", [0.0, 0.3])
@pytest.mark.parametrize(
    "options", [{"frozen_head": frozen, "chunk_size": n} for n in (1, 4, 15, 999) for frozen in (True, False)]
)
def test_loss_and_gradients_equal_the_definition(options, z):
    with jax.enable_x64(True):
        hidden, head, *targets = map(jnp.asarray, problem())
        expected, (hidden_gradient, head_gradient) = jax.value_and_grad(every_token, (0, 1))(
            hidden, head, *targets, z
        )
        (found, count), gradients = jax.value_and_grad(ours, (0, 1), has_aux=True)(
            hidden, head, *targets, z_loss_weight=z, **options
        )
        assert_allclose(found, expected, rtol=1e-12)
        assert count == targets[-1].sum()
        assert_allclose(gradients[0], hidden_gradient, rtol=1e-9, atol=1e-12)
        trained = not options["frozen_head"]
        assert_allclose(gradients[1], head_gradient if trained else 0 * head, rtol=1e-9, atol=1e-12)
        assert_allclose(ours(hidden, head, *targets, z_loss_weight=z, **options)[0], expected, rtol=1e-12)


def test_no_target_no_loss_and_no_gradient():
    hidden, head, position, label, mask = map(jnp.asarray, problem())
    (loss, count), gradient = jax.value_and_grad(ours, has_aux=True)(
        hidden, head, position, label, jnp.zeros_like(mask)
    )
    assert loss == count == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("frozen", [True, False])
def test_no_array_of_all_targets_logits_is_ever_made(frozen):
    V, M = 4096, 256
    hidden, head, *rest = map(jnp.asarray, problem(R=2, V=V, M=M))

    def loss(hidden, head):
        return ours(hidden, head, *rest, chunk_size=16, frozen_head=frozen)[0]

    program = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(hidden, head).compile()
    of_all_targets = 2 * M * V * 4
    assert program.memory_analysis().temp_size_in_bytes < of_all_targets / 4


def test_loss_of_bfloat16_states_is_float32_and_the_gradient_bfloat16():
    hidden, head, *rest = map(jnp.asarray, problem())
    low = hidden.astype(jnp.bfloat16)
    (loss, _), gradient = jax.value_and_grad(ours, has_aux=True)(low, head.astype(jnp.bfloat16), *rest)
    assert (loss.dtype, gradient.dtype) == (jnp.float32, jnp.bfloat16)
    assert_allclose(loss, every_token(hidden, head, *rest, 0.0), rtol=2e-2)


def sharded_against_one_device():
    """On 8 devices: loss, gradients and head FLOPs of one device and of the mesh, for both variants."""
    from jax.sharding import NamedSharding, PartitionSpec

    from kcx_jax.models import batch_sharding, make_mesh

    def measure(frozen, arrays, sharding):
        def loss(hidden, head, *targets):
            return ours(hidden, head, *targets, frozen_head=frozen, chunk_size=16)[0]

        step = jax.jit(jax.value_and_grad(loss, (0, 1)), out_shardings=sharding)
        compiled = step.lower(*arrays).compile()
        value, gradients = compiled(*arrays)
        gathered = [np.asarray(g, np.float64).tolist() for g in gradients]
        # The analysis counts a loop's body once; there are no loops but those over chunks, all of one length.
        trips = [int(n) for n in re.findall(r"known_trip_count\D*(\d+)", compiled.as_text())] or [1]
        flops = compiled.cost_analysis()["flops"] * trips[0]
        return {"loss": float(value), "gradients": gathered, "flops": flops, "loops": len(trips)}

    arrays = [
        jnp.asarray(x, "f" if x.dtype == np.float64 else x.dtype) for x in problem(R=16, M=8, V=512, D=32)
    ]
    mesh = make_mesh()
    rows, whole = batch_sharding(mesh), NamedSharding(mesh, PartitionSpec())
    placed = [jax.device_put(x, whole if i == 1 else rows) for i, x in enumerate(arrays)]
    results = {}
    for name, frozen in (("frozen", True), ("trained", False)):
        one = measure(frozen, arrays, None)
        with jax.set_mesh(mesh):
            results[name] = one, measure(frozen, placed, (whole, (rows, whole)))
    return results


def test_eight_devices_share_the_work_and_agree_with_one():
    loops = {"frozen": 1, "trained": 2}  # over chunks: the backward pass has its own where the head trains
    for name, (one, eight) in run_on_fake_devices(sharded_against_one_device).items():
        assert (one["loops"], eight["loops"]) == (loops[name], 1)  # of one chunk, none is left
        assert eight["flops"] <= 1.1 / 8 * one["flops"]
        assert eight["loss"] == pytest.approx(one["loss"], rel=1e-6)
        for expected, found in zip(one["gradients"], eight["gradients"], strict=True):
            assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
