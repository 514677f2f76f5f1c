"""How fast a step of LoRA tuning is, in samples, in tokens and as a share of what the device can do."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import optax

from kcx_jax.bench.workload import Lengths, memory_peak, random_params, random_tree
from kcx_jax.data.batch import pack_step
from kcx_jax.data.encode import TokenTree
from kcx_jax.data.packing import Packing, arrange
from kcx_jax.data.plan import PlanOptions, make_plan
from kcx_jax.data.steps import Step
from kcx_jax.errors import UsageError
from kcx_jax.lora.adapter import LoraConfig
from kcx_jax.models import ModelConfig, Transformer, frozen_base, init_lora, make_mesh
from kcx_jax.models.transformer import Activation
from kcx_jax.ops.backends import Backend
from kcx_jax.training.flops import HOPPER_PEAK, needed_flops
from kcx_jax.training.step import initial_state, make_step, put_batch


@dataclass(frozen=True)
class TrainBench:
    """What is measured: `branches` samples share a row as `packing` says, `rows` of them make a step of `config` in
    `dtype`, computed in `parts` one after another.

    `keep` and `unrolled` as in `Transformer`, `base_dtype` as in `load_pretrained`; `steps` are timed after
    `warm` others.
    """

    config: ModelConfig
    lengths: Lengths
    branches: int
    rows: int
    keep: tuple[Activation, ...] | None = None
    attention: Backend = "auto"
    unrolled: bool = False
    packing: Packing = "tree"
    parts: int = 1
    dtype: str = "bfloat16"
    base_dtype: str | None = None
    lora: LoraConfig = field(default_factory=lambda: LoraConfig(rank=32, alpha=64))
    steps: int = 6
    warm: int = 2


def bench_train(bench: TrainBench, params: Any = None) -> dict[str, float]:
    """Figures of one setting: samples/s, tokens/s, model FLOP/s, peak bytes, loss. Random weights unless `params`."""
    config = bench.config
    (tree,) = arrange([random_tree(bench.lengths, config.vocab_size)], bench.packing)
    planned = _steps(tree, bench)
    if params is None:
        params = random_params(config, bench.dtype)
    mesh = make_mesh()
    params = frozen_base(params, config, bench.dtype, bench.base_dtype, mesh)
    with jax.set_mesh(mesh):
        module = Transformer(config, bench.lora, jnp.dtype(bench.dtype), bench.keep, bench.unrolled)
        optimiser = optax.adamw(1e-4)
        state = initial_state(init_lora(config, bench.lora, jax.random.key(1)), optimiser, mesh)
        step = make_step(module, optimiser, "lora", state, attention=bench.attention, accumulate=bench.parts)
        batches = [put_batch(pack_step([tree], one), mesh) for one in planned]
        start = time.perf_counter()
        losses: list[jax.Array] = []
        for number, batch in enumerate(batches):
            if number == bench.warm:
                jax.block_until_ready((state, losses))
                warm_seconds, start = time.perf_counter() - start, time.perf_counter()
                cpu = time.process_time()
            state, result = step(state, {"params": params}, batch)
            losses.append(result.loss)
        jax.block_until_ready((state, losses))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        **_rates(bench, tree, planned[bench.warm :], seconds),
        "cpu_seconds_per_step": cpu / bench.steps,
        "warm_seconds": warm_seconds,
        "peak_bytes": memory_peak(),
        "first_loss": float(losses[0]),
        "last_loss": float(losses[-1]),
    }


def _steps(tree: TokenTree, bench: TrainBench) -> list[Step]:
    """Whole steps of one shape: nothing is compiled while the clock runs, and no row only fills up."""
    options = PlanOptions(bench.rows, bench.branches, shapes=1)
    wanted, asked = bench.warm + bench.steps, 4
    if bench.rows * bench.branches > len(tree.branches):
        raise UsageError(
            f"{len(tree.branches)} sentences do not fill {bench.rows} rows of {bench.branches}: take smaller steps."
        )
    while True:
        asked *= 2
        steps = make_plan([tree], options, steps=asked).steps
        full = bench.rows * bench.branches
        same = [step for step in steps if step.samples == full and step.shape == steps[0].shape]
        if len(same) >= wanted:
            return same[:wanted]


def _rates(bench: TrainBench, tree: TokenTree, timed: Sequence[Step], seconds: float) -> dict[str, float]:
    def total(count: str) -> int:
        return sum(getattr(step, count) for step in timed)

    needed = sum(needed_flops(bench.config, [tree], step) for step in timed)
    padded = sum(step.shape.stream * len(step.rows) for step in timed)
    return {
        "seconds_per_step": seconds / len(timed),
        "samples_per_second": total("samples") / seconds,
        "tokens_per_second": total("tokens") / seconds,
        "padding": 1 - total("tokens") / padded,
        "needed_teraflops_per_second": needed / seconds / 1e12,
        "share_of_bf16_peak": needed / seconds / HOPPER_PEAK / jax.device_count(),
    }
