"""`kcx train --plan`: what a run would do and need, without loading a weight."""

import json
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.weights import read_json
from kcx_jax.data import RowPlan, Shape, TreeBatch
from kcx_jax.errors import KcxError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import (
    ModelConfig,
    Transformer,
    abstract_lora,
    abstract_params,
    base_formats,
    batch_sharding,
    config_from_hf,
    lora_shardings,
    make_mesh,
    param_shardings,
)
from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.training.collectives import Collective, collectives
from kcx_jax.training.config import LoopSettings, TrainConfig
from kcx_jax.training.flops import needed_flops
from kcx_jax.training.loop import arranged, plan_stages
from kcx_jax.training.optimiser import learning_rate, make_optimiser
from kcx_jax.training.stages import Say, read_stages
from kcx_jax.training.step import PyTree, abstract_state, make_step


@dataclass(frozen=True)
class Memory:
    """Bytes on each device, as compiled here for the costliest shape."""

    frozen: int
    state: int  # what trains, with the optimiser's moments
    step: int  # gradients and what the backward pass keeps
    platform: str

    @property
    def total(self) -> int:
        return self.frozen + self.state + self.step


@dataclass(frozen=True)
class Forecast:
    """The plan of every stage by name, parameters, and what the costliest step needs."""

    stages: dict[str, RowPlan]
    trained: int
    parameters: int  # of the base
    flops_per_token: float  # needed ones, over all stages
    memory: Memory
    collectives: list[Collective]
    room: int | None  # bytes of each device, where it tells
    remedy: tuple[str, Memory] | None  # where that is too little: settings that fit, and what they need

    def require_room(self) -> None:
        """Raise `KcxError` where the run does not fit the devices, with settings that would."""
        if self.room is None or self.memory.total <= self.room:
            return
        need = (
            f"the costliest step needs {self.memory.total:,} bytes on each device, which has {self.room:,}."
        )
        if self.remedy is None:
            raise KcxError(f"{need} Use more devices (mesh.fsdp), fewer branches a row, or a smaller base.")
        settings, memory = self.remedy
        raise KcxError(f"{need} With {settings} it needs {memory.total:,}.")


def forecast(config: TrainConfig, say: Say) -> Forecast:
    """Read the data, plan the rows, compile the costliest step. Raises as `train` does for bad data."""
    folder = local_folder(config.model)
    model = config_from_hf(read_json(folder / "config.json"), where=str(folder / "config.json"))
    stages = arranged(read_stages(config, load_tokenizer(folder), model.max_positions, say), config)
    plans = plan_stages(stages, config)
    shape = max((step.shape for plan in plans for step in plan.steps), key=Shape.cost)
    memory, hlo, trained = _compiled(model, config, shape)
    needed = sum(
        needed_flops(model, stage.trees, step, config.mode)
        for stage, plan in zip(stages, plans, strict=True)
        for step in plan.steps
    )
    room = device_bytes()
    return Forecast(
        stages={stage.name: plan for stage, plan in zip(stages, plans, strict=True)},
        trained=trained,
        parameters=_size(abstract_params(model)),
        flops_per_token=needed / sum(plan.total("tokens") for plan in plans),
        memory=memory,
        collectives=collectives(hlo),
        room=room,
        remedy=_remedy(model, config, shape, room) if room is not None and memory.total > room else None,
    )


def device_bytes() -> int | None:
    """What JAX may use of a device; None where it does not tell (CPUs)."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def _remedy(model: ModelConfig, config: TrainConfig, shape: Shape, room: int) -> tuple[str, Memory] | None:
    """The first of ever slower settings of the same run that fits."""
    devices = jax.device_count()
    parts = config.rows_per_step // devices
    slower: list[dict[str, Any]] = [{"remat": True}]
    if parts > 1 and config.rows_per_step % devices == 0:
        slower.append({"remat": True, "accumulate": parts})
    if devices > 1:
        slower.append({**slower[-1], "mesh": {"data": 1, "fsdp": devices, "tensor": 1}})
    for change in slower:
        changed = TrainConfig.model_validate(config.model_dump(by_alias=True) | change)
        memory, _, _ = _compiled(model, changed, shape)
        if memory.total <= room:
            return ", ".join(f"{key}: {json.dumps(value)}" for key, value in change.items()), memory
    return None


def _abstract(
    model: ModelConfig, settings: LoopSettings, mesh: Mesh
) -> tuple[LoraConfig | None, PyTree, dict[str, PyTree]]:
    """The adapter's config, what trains and what is frozen, as the loop lays them out, but abstract."""

    def placed(values: PyTree, places: PyTree) -> PyTree:
        return jax.tree.map(
            lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), values, places
        )

    if settings.mode == "full":
        return None, placed(abstract_params(model, jnp.float32), param_shardings(model, mesh)), {}
    lora = LoraConfig(**settings.lora.model_dump())
    trained = placed(abstract_lora(model, lora), lora_shardings(model, lora, mesh))
    held, quantisation = base_formats(settings.dtype, settings.base_dtype)
    base = abstract_params(model, held, quantisation)
    return lora, trained, {"params": placed(base, param_shardings(model, mesh, quantisation))}


def _compiled(model: ModelConfig, settings: TrainConfig, shape: Shape) -> tuple[Memory, str, int]:
    """The step of one shape, compiled for these devices: its memory, its HLO, and how many parameters it trains."""
    mesh = make_mesh(**settings.mesh.model_dump())
    lora, trained, frozen = _abstract(model, settings, mesh)
    module = Transformer(model, lora, jnp.dtype(settings.dtype), settings.kept_activations)
    optimiser = make_optimiser(settings.optimiser, learning_rate(settings.optimiser, 100))
    state = abstract_state(trained, optimiser, mesh)
    collection = "params" if settings.mode == "full" else "lora"
    step = make_step(module, optimiser, collection, state, accumulate=settings.accumulate)
    P, K, L, T, M = shape
    sizes = TreeBatch((T,), (T,), (P,), (), (K, L), (K,), (T,), (M,), (M,), (M,))
    rows = batch_sharding(mesh)
    batch = TreeBatch(
        *(jax.ShapeDtypeStruct((settings.rows_per_step, *size), jnp.int32, sharding=rows) for size in sizes)
    )
    with jax.set_mesh(mesh):
        compiled = step.lower(state, frozen, batch).compile()
    analysis, hlo = compiled.memory_analysis(), compiled.as_text()
    assert analysis is not None  # CPUs and GPUs both have it
    assert hlo is not None
    copies = 2 if any(stage.adapter == "new" for stage in settings.stages[1:]) else 1  # merged, and not
    base = copies * _bytes(frozen)
    memory = Memory(base, _bytes(state), analysis.temp_size_in_bytes, jax.default_backend())
    return memory, hlo, _size(trained)


def _size(tree: PyTree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _bytes(tree: PyTree) -> int:
    """Bytes of one device's part."""
    leaves = jax.tree.leaves(tree)
    shards = (leaf.sharding.shard_shape(leaf.shape) for leaf in leaves)
    return sum(
        jax.ShapeDtypeStruct(s, leaf.dtype).size * leaf.dtype.itemsize
        for s, leaf in zip(shards, leaves, strict=True)
    )
