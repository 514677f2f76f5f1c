"""The training step: loss over the answers' tokens, gradient of what trains, one AdamW update.

R rows, T stream tokens, M targets a row.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kcx_jax.data.batch import TreeBatch
from kcx_jax.models import Transformer, batch_sharding, output_head
from kcx_jax.ops import Tree, answer_loss
from kcx_jax.ops.backends import Backend
from kcx_jax.ops.program import Program

PyTree = Any


class TrainState(struct.PyTreeNode):
    """What changes from step to step; `trained` is the collection "lora" or "params", float32."""

    step: PyTree  # one int32
    trained: PyTree
    optimiser: PyTree


class StepResult(struct.PyTreeNode):
    """Float32 scalars of one step, over all shards."""

    loss: jax.Array  # mean over the real targets, in nats
    gradient_norm: jax.Array  # before clipping


def tree_layout(batch: TreeBatch, attention: Backend) -> Tree:
    """How attention sees the rows of a batch; `attention` is the backend."""
    return Tree(
        batch.prefix_index_RP,
        batch.prefix_length_R,
        batch.branch_index_RKL,
        batch.branch_length_RK,
        batch.grid_index_RT,
        attention,
    )


def summed_loss(
    module: Transformer,
    variables: Mapping[str, PyTree],
    batch: TreeBatch,
    train_head: bool,
    dropout_key: Any = None,
    attention: Backend = "auto",
) -> tuple[jax.Array, jax.Array]:
    """Loss summed over the real targets of all rows of all shards, and their count: float32 scalars.

    Without a `dropout_key` nothing is dropped. `train_head` false lets no gradient reach the head. `attention` is the
    backend of the layout.
    """
    hidden_RTD, _ = module.apply(
        variables,
        batch.tokens_RT,
        batch.positions_RT,
        tree_layout(batch, attention),
        deterministic=dropout_key is None,
        rngs=None if dropout_key is None else {"dropout": dropout_key},
    )
    head_VD, inverse_norm_V = output_head(module.config, variables["params"])
    return answer_loss(
        hidden_RTD,
        head_VD,
        inverse_norm_V,
        batch.target_position_RM,
        batch.target_label_RM,
        batch.target_mask_RM,
        frozen_head=not train_head,
        z_loss_weight=module.config.z_loss_weight,
    )


def initial_state(trained: PyTree, optimiser: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """Step 0 of a stage. The optimiser's moments lie on the devices as what trains does."""
    where = jax.tree.map(lambda leaf: leaf.sharding, abstract_state(trained, optimiser, mesh))
    return TrainState(
        jax.device_put(np.zeros((), np.int32), where.step),
        trained,
        jax.jit(optimiser.init, out_shardings=where.optimiser)(trained),
    )


def abstract_state(trained: PyTree, optimiser: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """`initial_state` as `jax.ShapeDtypeStruct`s, of arrays or of `jax.ShapeDtypeStruct`s with shardings."""
    whole = NamedSharding(mesh, PartitionSpec())

    def placed(leaf: Any, where: NamedSharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where)

    moments = optax.tree.map_params(
        optimiser,
        lambda moment, leaf: placed(moment, leaf.sharding),
        jax.eval_shape(optimiser.init, trained),
        trained,
        transform_non_params=lambda leaf: placed(leaf, whole),
    )
    return TrainState(
        jax.ShapeDtypeStruct((), jnp.int32, sharding=whole),
        jax.tree.map(lambda leaf: placed(leaf, leaf.sharding), trained),
        moments,
    )


def make_step(
    module: Transformer,
    optimiser: optax.GradientTransformation,
    collection: str,
    state: TrainState,
    seed: int = 0,
    attention: Backend = "auto",
    accumulate: int = 1,
) -> Program:
    """A jitted `(state, frozen, batch) -> (state, result)`, to be called under `jax.set_mesh`; donates the
    state.

    `collection` names the variable collection that trains, `frozen` holds the others and never gets a
    gradient. The loss is the sum over all rows of all shards divided by their number of real targets. The rows are
    computed in `accumulate` parts one after another, which divides the memory of activations and changes nothing else
    (but which inputs dropout drops). `state` is the state of step 0, abstract or not: every later one lies on the
    devices as it does.
    """
    dropout = module.lora is not None and module.lora.dropout > 0

    def train_step(
        state: TrainState, frozen: Mapping[str, PyTree], batch: TreeBatch
    ) -> tuple[TrainState, StepResult]:
        key = jax.random.fold_in(jax.random.key(seed), state.step) if dropout else None

        count = jnp.maximum(jnp.sum(batch.target_mask_RM), 1)

        def share(part: TreeBatch, key: Any) -> tuple[jax.Array, PyTree]:
            """What some of the rows add to the mean loss, and its gradient."""

            def loss(trained: PyTree) -> jax.Array:
                variables = {**frozen, collection: trained}
                return summed_loss(module, variables, part, collection == "params", key, attention)[0] / count

            return jax.value_and_grad(loss)(state.trained)

        if accumulate == 1:
            loss, gradient = share(batch, key)
        else:
            loss, gradient = _accumulated(share, batch, key, accumulate)
        updates, moments = optimiser.update(gradient, state.optimiser, state.trained)
        result = StepResult(loss, optax.tree.norm(gradient))
        return TrainState(state.step + 1, optax.apply_updates(state.trained, updates), moments), result

    kept = jax.tree.map(lambda leaf: leaf.sharding, state)
    return Program(train_step, donate_argnums=0, out_shardings=(kept, None))


def _accumulated(share: Callable[[TreeBatch, Any], PyTree], batch: TreeBatch, key: Any, parts: int) -> PyTree:
    """The sum of `share(part, key of its own)` over every `parts`-th row: so each device cuts its own rows."""

    def cut(array: jax.Array) -> jax.Array:
        return array.reshape(-1, parts, *array.shape[1:]).swapaxes(0, 1)

    def add(total: PyTree, numbered: tuple[jax.Array, TreeBatch]) -> tuple[PyTree, None]:
        number, part = numbered
        found = share(part, None if key is None else jax.random.fold_in(key, number))
        return jax.tree.map(jnp.add, total, found), None

    numbered = jnp.arange(parts), TreeBatch(*map(cut, batch))
    shapes = jax.eval_shape(share, jax.tree.map(lambda array: array[0], numbered[1]), key)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, zeros, numbered)[0]


def put_batch(batch: TreeBatch, mesh: Mesh) -> TreeBatch:
    """This process's rows as global arrays, rows divided among the devices."""
    put = partial(jax.make_array_from_process_local_data, batch_sharding(mesh))
    return TreeBatch(*map(put, batch))
