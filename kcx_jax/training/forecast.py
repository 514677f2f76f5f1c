"""`kcx train --plan`: what a run would do and need, without loading a weight."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.weights import read_json
from kcx_jax.data import RowPlan, Shape, TreeBatch
from kcx_jax.lora import LoraConfig
from kcx_jax.models import (
    ModelConfig,
    Transformer,
    abstract_lora,
    abstract_params,
    batch_sharding,
    config_from_hf,
    lora_shardings,
    make_mesh,
    param_shardings,
)
from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.training.config import LoopSettings, TrainConfig
from kcx_jax.training.loop import plan_stages
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


@dataclass(frozen=True)
class Forecast:
    """The plan of every stage by name, parameters, and memory."""

    stages: dict[str, RowPlan]
    trained: int
    parameters: int  # of the base
    memory: Memory


def forecast(config: TrainConfig, say: Say) -> Forecast:
    """Read the data, plan the rows, compile the costliest step. Raises as `train` does for bad data."""
    folder = local_folder(config.model)
    model = config_from_hf(read_json(folder / "config.json"), where=str(folder / "config.json"))
    stages = read_stages(config, load_tokenizer(folder), model.max_positions, say)
    plans = plan_stages(stages, config)
    mesh = make_mesh(**config.mesh.model_dump())
    lora, trained, frozen = _abstract(model, config, mesh)
    shape = max((step.shape for plan in plans for step in plan.steps), key=Shape.cost)
    module = Transformer(model, lora, jnp.dtype(config.dtype), config.kept_activations)
    return Forecast(
        stages={stage.name: plan for stage, plan in zip(stages, plans, strict=True)},
        trained=_size(trained),
        parameters=_size(abstract_params(model)),
        memory=_memory(module, config, trained, frozen, shape, mesh),
    )


def _abstract(
    model: ModelConfig, settings: LoopSettings, mesh: Mesh
) -> tuple[LoraConfig | None, PyTree, dict[str, PyTree]]:
    """The adapter's config, what trains and what is frozen, as the loop lays them out, but abstract."""

    def placed(values: PyTree, places: PyTree) -> PyTree:
        return jax.tree.map(
            lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), values, places
        )

    places = param_shardings(model, mesh)
    if settings.mode == "full":
        return None, placed(abstract_params(model, jnp.float32), places), {}
    lora = LoraConfig(**settings.lora.model_dump())
    trained = placed(abstract_lora(model, lora), lora_shardings(model, lora, mesh))
    return lora, trained, {"params": placed(abstract_params(model, jnp.dtype(settings.dtype)), places)}


def _memory(
    module: Transformer, settings: LoopSettings, trained: PyTree, frozen: PyTree, shape: Shape, mesh: Mesh
) -> Memory:
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
        analysis = step.lower(state, frozen, batch).compile().memory_analysis()
    assert analysis is not None  # CPUs and GPUs both have it
    return Memory(_bytes(frozen), _bytes(state), analysis.temp_size_in_bytes, jax.default_backend())


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
