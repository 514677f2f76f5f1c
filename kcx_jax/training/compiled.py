"""A training step compiled for one shape of rows without a weight or a sample: what it needs and what it sends."""

from dataclasses import dataclass
from math import prod

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from kcx_jax.data import Shape, TreeBatch
from kcx_jax.data.batch import row_sizes
from kcx_jax.lora import LoraConfig
from kcx_jax.models import (
    ModelConfig,
    Transformer,
    abstract_lora,
    abstract_params,
    base_formats,
    batch_sharding,
    lora_shardings,
    make_mesh,
    param_shardings,
)
from kcx_jax.training.config import LoopSettings
from kcx_jax.training.optimiser import learning_rate, make_optimiser
from kcx_jax.training.step import PyTree, abstract_state, make_step
from kcx_jax.training.traffic import Traffic, read_traffic


@dataclass(frozen=True)
class CompiledStep:
    """Bytes on each device, what the devices send each other, and how many parameters the step trains."""

    frozen_bytes: int
    state_bytes: int  # what trains, with the optimiser's moments
    step_bytes: int  # gradients and what the backward pass keeps
    traffic: Traffic
    trained: int


def compile_step(model: ModelConfig, settings: LoopSettings, shape: Shape) -> CompiledStep:
    """Compile the step of `settings` for rows of `shape` and the devices that JAX has."""
    mesh = make_mesh(**settings.mesh.model_dump())
    lora, trained, frozen = _abstract(model, settings, mesh)
    module = Transformer(model, lora, jnp.dtype(settings.dtype), settings.kept_activations)
    optimiser = make_optimiser(settings.optimiser, learning_rate(settings.optimiser, 100))
    state = abstract_state(trained, optimiser, mesh)
    collection = "params" if settings.mode == "full" else "lora"
    step = make_step(
        *(module, optimiser, collection, state),
        attention=settings.attention,
        accumulate=settings.accumulate,
    )
    with jax.set_mesh(mesh):
        compiled = step.lower(state, frozen, _batch(shape, settings.rows_per_step, mesh)).compile()
    analysis, program = compiled.memory_analysis(), compiled.as_text()
    assert analysis is not None  # CPUs and GPUs have both
    assert program is not None
    return CompiledStep(
        _bytes(frozen),
        _bytes(state),
        analysis.temp_size_in_bytes,
        read_traffic(program, mesh.size),
        size_of(trained),
    )


def size_of(tree: PyTree) -> int:
    """How many numbers the arrays of `tree` hold."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


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


def _batch(shape: Shape, rows: int, mesh: Mesh) -> TreeBatch:
    where = batch_sharding(mesh)
    sizes = row_sizes(shape)
    return TreeBatch(*(jax.ShapeDtypeStruct((rows, *size), jnp.int32, sharding=where) for size in sizes))


def _bytes(tree: PyTree) -> int:
    """Bytes of one device's part."""
    return sum(
        prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)
    )
