"""Whether a base in 8 bits may stand for the exact one: outputs, gradients and a short tuning run beside each other.

Shapes: L = layers, R = rows, T = tokens of a row, D = hidden size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from kcx_jax.data import PlanOptions, TokenTree, TreeBatch, make_plan, pack_step
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import ModelConfig, Transformer, frozen_base, init_lora, make_mesh
from kcx_jax.ops import Quantisation
from kcx_jax.training.step import initial_state, make_step, put_batch, summed_loss, tree_layout

LEAST_COSINE = 0.99  # of the adapter's gradient with that on the exact base
MOST_LOSS_CHANGE = 0.01  # share of the exact base's loss after tuning


@dataclass(frozen=True)
class GateRun:
    """What is tuned and for how long: steps of the row plan that `plan` makes, in `dtype`."""

    plan: PlanOptions = field(default_factory=lambda: PlanOptions(rows=2, branches=16, shapes=1))
    steps: int = 200
    dtype: str = "bfloat16"
    lora: LoraConfig = field(default_factory=lambda: LoraConfig(rank=32, alpha=64))
    learning_rate: float = 1e-3


def quantisation_gate(
    config: ModelConfig,
    params: Mapping[str, Any],
    trees: Sequence[TokenTree],
    kinds: Sequence[Quantisation],
    run: GateRun,
) -> dict[str, dict[str, float]]:
    """Figures of each kind beside the exact base, `passed` (1 or 0) among them; `UsageError` without a step.

    `layer_error`: the largest over the layers of ||stream - exact|| / ||exact|| after it, of one batch. Cosines are of
    the gradient by an adapter that does something, over all its values and over those of the worst target. Losses
    are means over the last tenth of the steps.
    """
    if run.steps < 1:
        raise UsageError(f"a gate needs at least one step of tuning, found {run.steps}.")
    plan = make_plan(trees, run.plan, steps=run.steps)
    batches = [pack_step(trees, step) for step in plan.steps]
    exact = _measured(config, params, batches, run, None)
    return {kind: _compared(_measured(config, params, batches, run, kind), exact) for kind in kinds}


@dataclass(frozen=True)
class _Measured:
    streams: np.ndarray  # [L, R, T, D]
    gradient: dict[str, np.ndarray]  # by target, flat
    losses: np.ndarray


def _measured(
    config: ModelConfig,
    params: Mapping[str, Any],
    batches: Sequence[TreeBatch],
    run: GateRun,
    kind: Quantisation | None,
) -> _Measured:
    mesh = make_mesh(jax.devices()[:1])
    base = frozen_base(params, config, run.dtype, kind, mesh)
    module = Transformer(config, run.lora, jnp.dtype(run.dtype))
    adapter = init_lora(config, run.lora, jax.random.key(0))
    with jax.set_mesh(mesh):
        first = put_batch(batches[0], mesh)
        streams, gradient = _first_batch(module, base, _disturbed(adapter), first)
        optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(run.learning_rate))
        state = initial_state(adapter, optimiser, mesh)
        step = make_step(module, optimiser, "lora", state)
        losses = []
        for batch in batches:
            state, result = step(state, {"params": base}, put_batch(batch, mesh))
            losses.append(result.loss)
    by_target = {
        target: np.concatenate([np.asarray(x, np.float64).ravel() for x in pair.values()])
        for target, pair in gradient["layers"].items()
    }
    return _Measured(np.asarray(streams, np.float64), by_target, np.asarray(jax.device_get(losses)))


def _first_batch(module: Transformer, base: Any, adapter: Any, batch: TreeBatch) -> tuple[jax.Array, Any]:
    """The stream after every layer, and the gradient of the summed loss by the adapter."""

    @jax.jit
    def streams(base: Any, adapter: Any, batch: TreeBatch) -> Any:
        _, sown = module.apply(
            {"params": base, "lora": adapter},
            batch.tokens_RT,
            batch.positions_RT,
            tree_layout(batch, "auto"),
            mutable=["intermediates"],
        )
        return sown["intermediates"]["layers"]["hidden"][0].astype(jnp.float32)

    @jax.jit
    def gradient(base: Any, adapter: Any, batch: TreeBatch) -> Any:
        return jax.grad(lambda lora: summed_loss(module, {"params": base, "lora": lora}, batch, False)[0])(
            adapter
        )

    return streams(base, adapter, batch), gradient(base, adapter, batch)


def _disturbed(adapter: Any) -> Any:
    """The adapter with B drawn as A is: of a fresh one, A's gradient is zero on any base."""

    def drawn(pair: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        deviation = jnp.std(pair["A"]) / 10
        return {**pair, "B": deviation * jax.random.normal(jax.random.key(1), pair["B"].shape)}

    return {"layers": {target: drawn(pair) for target, pair in adapter["layers"].items()}}


def _compared(found: _Measured, exact: _Measured) -> dict[str, float]:
    errors = [
        np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found.streams, exact.streams, strict=True)
    ]
    cosines = [_cosine(found.gradient[target], exact.gradient[target]) for target in exact.gradient]
    whole = [np.concatenate(list(one.gradient.values())) for one in (found, exact)]
    last = max(1, len(exact.losses) // 10)
    loss, exact_loss = (float(one.losses[-last:].mean()) for one in (found, exact))
    cosine, change = _cosine(*whole), loss / exact_loss - 1
    return {
        "passed": float(cosine >= LEAST_COSINE and abs(change) <= MOST_LOSS_CHANGE),
        "layer_error": float(max(errors)),
        "gradient_cosine": cosine,
        "worst_target_cosine": min(cosines),
        "loss_change": change,
        "last_loss": loss,
        "exact_first_loss": float(exact.losses[0]),
        "exact_last_loss": exact_loss,
    }


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
