"""A tree equals its branches one by one: values and gradients, any shape, any order of the stream.

Shapes: B = rows, T = tokens of a stream, P = prefix slots, K = branches, L = slots of a branch, D = hidden
size.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from kcx_jax.lora import LoraConfig
from kcx_jax.models import (
    ModelConfig,
    Transformer,
    abstract_lora,
    abstract_params,
    lora_shardings,
    param_shardings,
)
from kcx_jax.ops import Causal, Tree, answer_loss, inverse_row_norms
from kcx_jax.testing.devices import run_on_fake_devices

pytestmark = pytest.mark.usefixtures("quick_compilation")

B, T, P, K, L = 2, 26, 6, 3, 5
CONFIG = ModelConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_layers=2, num_heads=2)
LORA = LoraConfig(rank=2, alpha=4)


def variables(dtype):
    """Random base and adapter, B not zero."""
    rng = np.random.default_rng(0)
    described = {"params": abstract_params(CONFIG), "lora": abstract_lora(CONFIG, LORA)}
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) * 0.3, dtype), described)


def pack(prefix, branches, order):
    """The arrays of one row, written slot by slot; `order` says where in the stream the tokens go."""
    tokens, positions = np.zeros(T, np.int32), np.zeros(T, np.int32)
    tokens[:] = 63  # padding that would be seen if anything looked at it
    slots = np.zeros(T, np.int32)
    prefix_index, branch_index = np.full(P, T - 1), np.full((K, L), T - 1)
    where = iter(order)
    for p, token in enumerate(prefix):
        t = prefix_index[p] = next(where)
        tokens[t], positions[t], slots[t] = token, p, p
    for k, branch in enumerate(branches):
        for i, token in enumerate(branch):
            t = branch_index[k, i] = next(where)
            tokens[t], positions[t], slots[t] = token, len(prefix) + i, P + k * L + i
    lengths = np.array([len(b) for b in branches])
    return tokens, positions, Tree(prefix_index, np.array(len(prefix)), branch_index, lengths, slots)


def random_rows(seed, prefix_lengths, branch_lengths, shuffled):
    """B rows of random tokens: (prefix, branches, stream order) each."""
    rng = np.random.default_rng(seed)
    rows = []
    for length, own in zip(prefix_lengths, branch_lengths, strict=True):
        branches = [rng.integers(0, 63, n) for n in own]
        rows.append((rng.integers(0, 63, length), branches, rng.permutation(T) if shuffled else np.arange(T)))
    return rows


@jax.jit
@partial(jax.value_and_grad, has_aux=True)
def tree_objective(variables, tokens, positions, layout, direction_BTD):
    hidden, _ = Transformer(CONFIG, LORA, variables["params"]["norm"].dtype).apply(
        variables, tokens, positions, layout
    )
    return jnp.sum(hidden * direction_BTD), hidden


@jax.jit
@partial(jax.value_and_grad, has_aux=True)
def rows_objective(variables, tokens, layout, direction_BTD):
    module = Transformer(CONFIG, LORA, variables["params"]["norm"].dtype)
    hidden, _ = module.apply(variables, tokens, layout.positions(tokens.shape[1]), layout)
    return jnp.sum(hidden * direction_BTD), hidden


def one_by_one(rows, directions):
    """Each branch as a row behind its prefix, then the bare prefix; directions on a row's own tokens only."""
    N, width, D = B * (K + 1), P + L, CONFIG.hidden_size
    tokens, lengths, direction = (
        np.zeros((N, width), np.int32),
        np.zeros(N, np.int32),
        np.zeros((N, width, D)),
    )
    places = []  # (row, column) of each token in the order of the tree's slots
    for b, (prefix, branches, _) in enumerate(rows):
        taken = iter(directions[b])
        last = b * (K + 1) + K
        for n, own in [(last, []), *((b * (K + 1) + k, branch) for k, branch in enumerate(branches))]:
            sequence = [*prefix, *own]
            tokens[n, : len(sequence)], lengths[n] = sequence, len(sequence)
            for column in range(0 if n == last else len(prefix), len(sequence)):
                direction[n, column] = next(taken)
                places.append((n, column))
    return tokens, Causal(jnp.asarray(lengths)), direction, places


lengths = st.tuples(st.integers(0, P), st.lists(st.integers(0, L), min_size=K, max_size=K))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**16), row=st.lists(lengths, min_size=B, max_size=B), shuffled=st.booleans())
@example(seed=0, row=[(0, [L, 1, 0]), (P, [L, L, L])], shuffled=True)
@example(seed=0, row=[(0, [0, 0, 0]), (1, [0, 0, 1])], shuffled=False)
def test_a_tree_equals_its_branches_one_by_one(seed, row, shuffled):
    rows = random_rows(seed, *zip(*row, strict=True), shuffled)
    rng = np.random.default_rng(seed + 1)
    counts = [length + sum(own) for length, own in row]
    directions = [rng.normal(size=(n, CONFIG.hidden_size)) for n in counts]
    with jax.enable_x64(True):
        values = variables(jnp.float64)
        packed = [pack(*r) for r in rows]
        tokens, positions, layout = jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *packed)
        direction = np.zeros((B, T, CONFIG.hidden_size))
        for b, (_, _, order) in enumerate(rows):
            direction[b, order[: counts[b]]] = directions[b]
        (value, hidden), gradients = tree_objective(values, tokens, positions, layout, direction)
        alone, rows_layout, rows_direction, places = one_by_one(rows, directions)
        (expected, rows_hidden), expected_gradients = rows_objective(
            values, alone, rows_layout, rows_direction
        )

    assert np.isfinite(hidden).all()
    stream = [hidden[b, order[: counts[b]]] for b, (_, _, order) in enumerate(rows)]
    wanted = [rows_hidden[place] for place in places]
    if wanted:
        assert_allclose(np.concatenate(stream), np.stack(wanted), rtol=1e-9, atol=1e-11)
    assert_allclose(value, expected, rtol=1e-9, atol=1e-10)

    def close(path, found, wanted):
        assert np.isfinite(found).all()
        error, size = np.linalg.norm(found - wanted), np.linalg.norm(wanted)
        assert error <= 1e-9 * size + 1e-12, (jax.tree_util.keystr(path), error, size)

    jax.tree_util.tree_map_with_path(close, gradients, expected_gradients)


def test_a_token_sees_its_prefix_and_its_own_branch_up_to_itself(touched_tokens):
    """By gradient: with all tokens different, a token's embedding moves what sees the token, nothing else."""
    prefix, branches = list(range(4)), [list(range(a, b)) for a, b in ((10, 13), (20, 25), (30, 31))]
    tokens, positions, layout = jax.tree.map(
        lambda x: jnp.asarray(x)[None], pack(prefix, branches, np.arange(T))
    )
    module = Transformer(CONFIG, LORA)
    (touched,) = touched_tokens(module, variables(jnp.float32), tokens, positions, layout)
    assert [touched[t] for t in range(len(prefix))] == [set(prefix[: t + 1]) for t in range(len(prefix))]
    seen = iter(touched[len(prefix) :])
    for own in branches:
        for i in range(len(own)):
            assert next(seen) == {*prefix, *own[: i + 1]}


def tree_loss(values, tokens, positions, layout, target_position, label, mask):
    hidden, _ = Transformer(CONFIG, LORA).apply(values, tokens, positions, layout)
    head = values["params"]["lm_head"]
    loss, count = answer_loss(hidden, head, inverse_row_norms(head), target_position, label, mask)
    return loss / count


def loss_on_meshes(meshes):
    """Loss and adapter gradients of 8 rows on one device, then on each mesh (data, fsdp, tensor)."""
    from kcx_jax.models import batch_sharding, make_mesh

    rng = np.random.default_rng(0)
    rows = random_rows(0, rng.integers(0, P + 1, 8), rng.integers(1, L + 1, (8, K)), shuffled=False)
    batch = jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *[pack(*r) for r in rows])
    targets = [rng.integers(0, 5, (8, 4)), rng.integers(0, 63, (8, 4)), rng.random((8, 4)) < 0.6]
    values = variables(jnp.float32)

    def measure(values, *arrays):
        def loss(lora):
            return tree_loss({**values, "lora": lora}, *arrays)

        quick = {"xla_backend_optimization_level": 0}  # compiled in half the time
        value, gradients = jax.jit(jax.value_and_grad(loss), compiler_options=quick)(values["lora"])
        return {
            "loss": float(value),
            "gradients": [np.asarray(g).tolist() for g in jax.tree.leaves(gradients)],
        }

    results = [measure(values, *batch, *targets)]
    for data, fsdp, tensor in meshes:
        mesh = make_mesh(data=data, fsdp=fsdp, tensor=tensor)
        places = {"params": param_shardings(CONFIG, mesh), "lora": lora_shardings(CONFIG, LORA, mesh)}
        with jax.set_mesh(mesh):
            arrays = jax.device_put((*batch, *targets), batch_sharding(mesh))
            results.append(measure(jax.device_put(values, places), *arrays))
    return results


def test_eight_devices_equal_one():
    one, *sharded = run_on_fake_devices(loss_on_meshes, [(8, 1, 1), (2, 2, 2)])
    for found in sharded:
        assert found["loss"] == pytest.approx(one["loss"], rel=1e-5)
        for wanted, gradient in zip(one["gradients"], found["gradients"], strict=True):
            assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-6)
