"""`kcx train --plan`: what a run would do and need, without loading a weight."""

import json
from dataclasses import dataclass
from typing import Any

import jax

from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.weights import read_json
from kcx_jax.data import RowPlan, Shape
from kcx_jax.errors import KcxError
from kcx_jax.models import (
    ModelConfig,
    abstract_params,
    config_from_hf,
)
from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.training.compiled import CompiledStep, compile_step, size_of
from kcx_jax.training.config import TrainConfig
from kcx_jax.training.flops import needed_flops
from kcx_jax.training.loop import arranged, plan_arranged
from kcx_jax.training.stages import Say, read_stages
from kcx_jax.training.traffic import Traffic

_STEPS_LOOKED_AT = 1000  # of each stage, at even distances, for the operations a token


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
    flops_per_token: float  # needed ones, over steps of all stages
    memory: Memory
    traffic: Traffic
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
    plans = plan_arranged(stages, config)
    shape = max((shape for plan in plans for shape in plan.shapes), key=Shape.cost)
    compiled = compile_step(model, config, shape)
    memory = _memory(compiled, config)
    looked_at = [
        (needed_flops(model, stage.trees, step, config.mode), step.tokens)
        for stage, plan in zip(stages, plans, strict=True)
        for step in plan.steps[:: -(-len(plan.steps) // _STEPS_LOOKED_AT)]
    ]
    flops, tokens = map(sum, zip(*looked_at, strict=True))
    room = device_bytes()
    return Forecast(
        stages={stage.name: plan for stage, plan in zip(stages, plans, strict=True)},
        trained=compiled.trained,
        parameters=size_of(abstract_params(model)),
        flops_per_token=flops / tokens,
        memory=memory,
        traffic=compiled.traffic,
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
        memory = _memory(compile_step(model, changed, shape), changed)
        if memory.total <= room:
            return ", ".join(f"{key}: {json.dumps(value)}" for key, value in change.items()), memory
    return None


def _memory(step: CompiledStep, config: TrainConfig) -> Memory:
    copies = 2 if any(stage.adapter == "new" for stage in config.stages[1:]) else 1  # merged, and not
    return Memory(copies * step.frozen_bytes, step.state_bytes, step.step_bytes, jax.default_backend())
