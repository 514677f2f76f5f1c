"""Whether the arithmetic on this device is right: attention over trees and the answers' loss against float64.

To be run in a process of its own with `jax_enable_x64`; errors are ||ours - reference|| / ||reference||.

Shapes: B = rows, T = tokens, H = query heads, G = heads of keys, C = channels, N = targets, D = hidden size,
V = vocabulary.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.bench.workload import Lengths, random_tree
from kcx_jax.data.batch import pack_step
from kcx_jax.data.plan import PlanOptions, make_plan
from kcx_jax.ops.backends import Backend
from kcx_jax.ops.distance import Distance
from kcx_jax.ops.losses import answer_loss
from kcx_jax.ops.numerics import inverse_row_norms
from kcx_jax.training.step import tree_layout

PLAIN = Distance()


def attention_errors(
    lengths: Lengths,
    branches: int,
    heads: tuple[int, int],
    channels: int,
    dtype: str,
    backend: Backend,
    seed: int = 0,
    distance: Distance = PLAIN,
) -> dict[str, float]:
    """Errors of a tree's attention, its output and its gradients, against one dense softmax in float64.

    `heads`: of queries, and of keys and values. `UsageError` where the backend cannot compute it.
    """
    tree = random_tree(lengths, 1000, seed)
    step = make_plan([tree], PlanOptions(rows=1, branches=branches, shapes=1, seed=seed), steps=1).steps[0]
    batch = pack_step([tree], step)
    layout = tree_layout(batch, backend)
    inputs = [tree.branches[index].inputs for index in step.rows[0].branches]
    rng = np.random.default_rng(seed)
    T = step.shape.stream
    q, k, v = (rng.normal(size=(1, T, h, channels)) for h in (heads[0], heads[1], heads[1]))
    real = np.zeros((1, T, 1, 1))
    real[:, : len(tree.prefix) + sum(inputs)] = 1
    cotangent = rng.normal(size=q.shape) * real

    def ours(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        q, k, v = (x.astype(dtype) for x in (q, k, v))
        return layout.attend(q, k, v, distance, None, None)[0].astype(jnp.float64)

    def dense(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return _dense(q, k, v, len(tree.prefix), inputs, distance)

    rounded = [np.asarray(jnp.asarray(x, dtype), np.float64) for x in (q, k, v)]
    return _compared(ours, dense, rounded, cotangent, ("output", "q", "k", "v"))


def _dense(
    q: jax.Array, k: jax.Array, v: jax.Array, prefix: int, inputs: list[int], distance: Distance
) -> jax.Array:
    """Every sample with its own copy of the prefix, by a full matrix of scores; zeros for padding tokens."""
    groups = q.shape[2] // k.shape[2]
    k, v = (jnp.repeat(x, groups, axis=2) for x in (k, v))
    T = q.shape[1]
    owner = np.full(T, -1)
    owner[:prefix] = 0
    position = np.arange(T)
    start = prefix
    for number, length in enumerate(inputs, start=1):
        owner[start : start + length] = number
        position[start : start + length] = prefix + np.arange(length)
        start += length
    steps, back = np.arange(T), position[:, None] - position
    sees = (steps[:, None] >= steps) & ((owner == owner[:, None]) | (owner == 0)) & (owner >= 0)
    scores = jnp.einsum("bqhc,bkhc->bhqk", q, k) * q.shape[-1] ** -0.5
    if distance.window is not None:
        sees &= back < distance.window
    if distance.slopes is not None:
        scores -= np.array(distance.slopes)[:, None, None] * back
    weights = jax.nn.softmax(jnp.where(sees, scores, -jnp.inf), axis=-1, where=sees)
    return jnp.einsum("bhqk,bkhc->bqhc", weights, v) * (owner >= 0)[:, None, None]


def loss_errors(targets: int, hidden: int, vocabulary: int, dtype: str, seed: int = 0) -> dict[str, float]:
    """Errors of the answers' loss under a frozen NormHead, and of the hidden states' gradient."""
    rng = np.random.default_rng(seed)
    hidden_RTD = np.asarray(jnp.asarray(rng.normal(size=(2, targets, hidden)), dtype), np.float64)
    head_VD = np.asarray(jnp.asarray(rng.normal(size=(vocabulary, hidden)), dtype), np.float64)
    label_RM = jnp.asarray(rng.integers(0, vocabulary, (2, targets)))
    position_RM = jnp.tile(jnp.arange(targets), (2, 1))
    mask_RM = jnp.asarray(rng.random((2, targets)) < 0.9)

    def ours(hidden_RTD: jax.Array) -> jax.Array:
        narrow, head = hidden_RTD.astype(dtype), jnp.asarray(head_VD, dtype)
        norms = inverse_row_norms(head)
        loss, _ = answer_loss(narrow, head, norms, position_RM, label_RM, mask_RM, chunk_size=256)
        return loss.astype(jnp.float64)

    def plain(hidden_RTD: jax.Array) -> jax.Array:
        unit_VD = head_VD / np.linalg.norm(head_VD, axis=1, keepdims=True)
        scores = jax.nn.log_softmax(hidden_RTD @ unit_VD.T)
        return -jnp.sum(jnp.take_along_axis(scores, label_RM[..., None], -1)[..., 0] * mask_RM)

    return _compared(ours, plain, [hidden_RTD], np.ones(()), ("loss", "hidden"))


def _compared(
    ours: Callable[..., jax.Array],
    reference: Callable[..., jax.Array],
    arguments: list[np.ndarray],
    cotangent: np.ndarray,
    names: tuple[str, ...],
) -> dict[str, float]:
    """The relative error of the value and of the gradient by each argument; the reference runs on the CPU."""

    def both(function: Callable[..., jax.Array]) -> list[np.ndarray]:
        @jax.jit
        def run(arguments: list[jax.Array], cotangent: jax.Array) -> tuple:
            value, pull = jax.vjp(function, *arguments)
            return value, *pull(cotangent)

        return [np.asarray(x, np.float64) for x in run(arguments, cotangent)]

    found = both(ours)
    with jax.default_device(jax.devices("cpu")[0]):
        expected = both(reference)
    return {
        name: float(np.linalg.norm(a - b) / np.linalg.norm(b))
        for name, a, b in zip(names, found, expected, strict=True)
    }
