"""The jitted half of decoding: a fixed number of slots, through which the contexts of a queue move.

In each step a slot reads the token that was chosen last and the drafts behind it, and writes those that are right and
one more. Few slots read several lines of drafts at once, and keep the one that was right for longest. A slot that is
done takes the next context without leaving the loop. Slots that are not live compute along and change nothing.

Shapes: B = slots, A = contexts that are read at once, R = rows: either of these, or the lines of all slots; Q =
contexts in the queue, C = their width, W = tokens of a step, D = hidden size.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.decoding.drafts import tallied
from kcx_jax.decoding.state import (
    Course,
    Engine,
    Network,
    Queue,
    Slots,
    State,
    course_of,
    laid,
    rows_at_start,
)
from kcx_jax.decoding.verify import Written, verify
from kcx_jax.models import empty_cache
from kcx_jax.ops.layouts import KV, Cached
from kcx_jax.ops.program import Program


@partial(Program, static_argnames="engine", donate_argnames="state")
def run(engine: Engine, network: Network, queue: Queue, state: State) -> State:
    """Answer what waits in the queue, in at most `state.steps` steps; what is not done goes on in the next call."""

    def can_admit(state: State) -> jax.Array:
        waiting = queue.filled - state.asked
        return (waiting > 0) & (jnp.sum(~state.slots.live_B) >= jnp.minimum(engine.admitted, waiting))

    def can_step(state: State) -> jax.Array:
        return jnp.any(state.slots.live_B) & (state.steps > 0)

    def go_on(state: State) -> State:
        state = lax.while_loop(can_admit, partial(_admit, engine, network, queue), state)
        return lax.while_loop(
            lambda state: can_step(state) & ~can_admit(state), partial(_step, engine, network, queue), state
        )

    return lax.while_loop(lambda state: can_step(state) | can_admit(state), go_on, state)


def _admit(engine: Engine, network: Network, queue: Queue, state: State) -> State:
    """Read the next contexts into free slots, and choose the first token of their answers."""
    slots, A = state.slots, engine.admitted
    B, C = slots.live_B.size, queue.tokens_QC.shape[1]
    wanted_A = state.asked + jnp.arange(A, dtype=jnp.int32)
    slot_A = jnp.nonzero(~slots.live_B, size=A, fill_value=B)[0]
    slot_A = jnp.where(wanted_A < queue.filled, slot_A, B)  # B: no slot
    request_A = queue.order_Q[jnp.minimum(wanted_A, queue.filled - 1)]
    own = empty_cache(engine.module.config, A, C, slots.cache.k.dtype)
    rows = rows_at_start(network, queue, own, request_A, slot_A < B)

    def read(width: int) -> tuple[jax.Array, KV]:
        tokens_AW = queue.tokens_QC[request_A, :width]
        hidden_AWD, cache = forward(engine, network, tokens_AW, jnp.zeros(A, jnp.int32), own)
        return jnp.take_along_axis(hidden_AWD, rows.own_length_B[:, None, None] - 1, axis=1), cache

    longest = jnp.max(jnp.where(slot_A < B, rows.own_length_B, 0))
    which = jnp.sum(longest > jnp.array(engine.reads[:-1], jnp.int32))
    hidden_A1D, own = lax.switch(which, [partial(read, width) for width in engine.reads])
    course = course_of(network, queue, rows, state.tally)
    rows, written = verify(engine, network, queue, rows, hidden_A1D, course)

    def put(old: jax.Array, new: jax.Array) -> jax.Array:
        return old.at[slot_A].set(new, mode="drop")

    row_R = (slot_A[:, None] * engine.lines + jnp.arange(engine.lines)).reshape(-1)

    def put_rows(old: jax.Array, new: jax.Array) -> jax.Array:
        return old.at[:, row_R, :, :C].set(jnp.repeat(new, engine.lines, axis=1), mode="drop")

    cache = jax.tree.map(put_rows, slots.cache, own)
    slots = Slots(cache, *(jax.tree.map(put, *each) for each in zip(slots[1:], rows[1:], strict=True)))
    state = state._replace(slots=slots, asked=jnp.minimum(state.asked + A, queue.filled))
    return _noted(state, rows, course, written)


def _step(engine: Engine, network: Network, queue: Queue, state: State) -> State:
    """One forward of all slots, over their last tokens and drafts."""
    rows, turn_R = _by_line(engine.lines, state.slots)
    course = course_of(network, queue, rows, state.tally, engine.width, turn_R)
    tokens_RW = rows.next_B[:, None]
    if course is not None:
        tokens_RW = jnp.concatenate([tokens_RW, jnp.maximum(course.line.token_WB[:-1], 0).T], axis=1)
    hidden_RWD, cache = forward(engine, network, tokens_RW, rows.own_length_B, rows.cache)
    rows, written = verify(engine, network, queue, rows._replace(cache=cache), hidden_RWD, course)
    if engine.lines > 1:
        assert course is not None
        rows, course, written = _longest(engine.lines, rows, course, written)
    live_B = state.slots.live_B
    # The cache keeps what was read before this step's last token; wrong drafts are overwritten.
    read_B = jnp.where(live_B, 1 + written.accepted_R, 0)
    slots = rows._replace(own_length_B=rows.own_length_B + read_B)
    answers = state.answers
    at_B = jnp.where(live_B, slots.request_B, answers.count_Q.size)
    answers = answers._replace(
        forwards_Q=answers.forwards_Q.at[at_B].add(1, mode="drop"),
        drafted_Q=answers.drafted_Q.at[at_B].add(written.drafted_R, mode="drop"),
        accepted_Q=answers.accepted_Q.at[at_B].add(written.accepted_R, mode="drop"),
    )
    state = state._replace(slots=slots, answers=answers, steps=state.steps - 1)
    return _noted(state, slots, course, written)


def _by_line(lines: int, slots: Slots) -> tuple[Slots, jax.Array]:
    """The slots as rows, one for each of their lines of drafts, and where each line turns off the first."""
    turn_R = jnp.tile(jnp.arange(lines, dtype=jnp.int32), slots.live_B.size)
    if lines == 1:
        return slots, turn_R
    others = jax.tree.map(lambda x: jnp.repeat(x, lines, axis=0), slots[1:])
    return Slots(slots.cache, *others), turn_R


def _longest(lines: int, rows: Slots, course: Course, written: Written) -> tuple[Slots, Course, Written]:
    """The slots again: of the lines of each the one that was right for longest, whose cache all of them get."""
    first_B = jnp.arange(rows.live_B.size // lines) * lines
    row_B = first_B + jnp.argmax(written.accepted_R.reshape(-1, lines), axis=1)
    row_R1 = jnp.repeat(row_B, lines)[:, None]
    own_R1 = jnp.arange(row_R1.size)[:, None]
    slot_RW = rows.own_length_B[:, None] + jnp.arange(written.token_RW.shape[1])

    def shared(cache: jax.Array) -> jax.Array:
        return cache.at[:, own_R1, :, slot_RW].set(cache[:, row_R1, :, slot_RW], mode="drop")

    cache = jax.tree.map(shared, rows.cache)
    others, written = jax.tree.map(lambda x: x[row_B], (rows[1:], written))
    rules = jax.tree.map(lambda x: x[row_B], course.rules)
    line = jax.tree.map(lambda x: x[:, row_B], course.line)
    return Slots(cache, *others), Course(course.structure, rules, line), written


def forward(
    engine: Engine, network: Network, tokens_RW: jax.Array, own_length_R: jax.Array, cache: KV
) -> tuple[jax.Array, KV]:
    """Hidden states [R, W, D] of the rows' next tokens, and their caches with these."""
    layout = Cached(*network.prefix, own_length_R)
    positions_RW = layout.positions(tokens_RW.shape[1])
    result: Any = engine.module.apply(network.variables, tokens_RW, positions_RW, layout, cache)
    return result


def _noted(state: State, rows: Slots, course: Course | None, written: Written) -> State:
    """The state with what rows wrote: their answers, and the tally."""
    answers, tally = state.answers, state.tally
    Q, N = answers.ids_QN.shape
    was_live_R = written.taken_RW[:, 0]
    row_R = jnp.where(was_live_R, rows.request_B, Q)  # Q: no request
    before_R = rows.count_B - jnp.sum(written.answer_RW, axis=1, dtype=jnp.int32)
    column_RW = before_R[:, None] + jnp.arange(written.token_RW.shape[1])
    where = row_R[:, None], jnp.where(written.answer_RW, column_RW, N)
    ids_QN, logprob_QN, raw_QN = jax.tree.map(
        lambda old, new: old.at[where].set(new, mode="drop"),
        (answers.ids_QN, answers.logprob_QN, answers.raw_QN),
        (written.token_RW, written.logprob_RW, written.raw_RW),
    )
    total_R = jnp.sum(jnp.where(written.taken_RW, written.logprob_RW, 0), axis=1)
    answers = answers._replace(
        ids_QN=ids_QN,
        logprob_QN=logprob_QN,
        raw_QN=raw_QN,
        total_Q=answers.total_Q.at[row_R].add(total_R, mode="drop"),
        count_Q=answers.count_Q.at[row_R].set(rows.count_B, mode="drop"),
        done_Q=answers.done_Q.at[row_R].set(~rows.live_B, mode="drop"),
        ended_Q=answers.ended_Q.at[row_R].set(written.ended_R, mode="drop"),
    )
    if course is not None and tally is not None:
        structure, rules, line = course
        assert rows.behind_B is not None
        given = tally, structure, rules.sentences, rules.copying, line
        tally = tallied(*given, written.token_RW.T, written.taken_RW.T, written.ended_R, rows.behind_B)
    return laid(state._replace(answers=answers, tally=tally))
