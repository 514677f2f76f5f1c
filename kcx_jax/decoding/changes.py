"""What the host changes between two turns of the device: contexts come, contexts are left, slots are more or fewer.

Shapes: as in `state`; A = contexts that come at once.
"""

from functools import partial

import jax
import jax.numpy as jnp

from kcx_jax.decoding.state import Answers, Queue, Slots, State, laid, whole
from kcx_jax.models.sharding import constrain
from kcx_jax.ops.program import Program


@partial(Program, donate_argnames=("queue", "answers"))
def put(queue: Queue, answers: Answers, new: Queue, place_A: jax.Array) -> tuple[Queue, Answers]:
    """The queue with the contexts of `new` at these places, beyond the last for none; nothing is answered there yet."""

    def into(old: jax.Array, new: jax.Array) -> jax.Array:
        return old.at[place_A].set(new, mode="drop")

    def emptied(x_Q: jax.Array) -> jax.Array:
        return x_Q.at[place_A].set(jnp.zeros((), x_Q.dtype), mode="drop")

    queue = queue._replace(
        tokens_QC=into(queue.tokens_QC, new.tokens_QC),
        length_Q=into(queue.length_Q, new.length_Q),
        limit_Q=into(queue.limit_Q, new.limit_Q),
        number_Q=into(queue.number_Q, new.number_Q),
        rules=jax.tree.map(into, queue.rules, new.rules),
        teacher_QN=jax.tree.map(into, queue.teacher_QN, new.teacher_QN),
    )
    counts = ("total_Q", "count_Q", "done_Q", "ended_Q", "forwards_Q", "drafted_Q", "accepted_Q")
    answers = answers._replace(**{name: emptied(getattr(answers, name)) for name in counts})
    return whole(queue), whole(answers)


@Program
def left(live_B: jax.Array, request_B: jax.Array, left_Q: jax.Array) -> jax.Array:
    """Which slots are live when these contexts are left; bool [B]."""
    return constrain(live_B & ~left_Q[request_B], "batch")


@partial(Program, static_argnames=("rows", "lines", "new_lines"))
def resized(state: State, rows: int, lines: int, new_lines: int) -> State:
    """The state with so many slots, not fewer than are live, of `new_lines` lines of drafts each after `lines`."""
    first_R = jnp.argsort(~state.slots.live_B, stable=True)[:rows]

    def fit(x: jax.Array, axis: int) -> jax.Array:
        kept = jnp.take(x, first_R, axis)
        more = [(0, rows - first_R.size if at == axis else 0) for at in range(x.ndim)]
        return jnp.pad(kept, more)

    def fit_lines(x: jax.Array) -> jax.Array:
        return jnp.repeat(fit(x[:, ::lines], 1), new_lines, axis=1)

    cache, *others = state.slots
    slots = Slots(jax.tree.map(fit_lines, cache), *jax.tree.map(lambda x: fit(x, 0), others))
    return laid(state._replace(slots=slots))
