"""Beam search: the likeliest answers that a search of some width finds, each token read once for all of them.

Shapes: Q = contexts, K = beams of each, B = Q * K rows, C = width of the contexts, N = most new tokens, X = tokens to
choose among, D = hidden size.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.decoding.constraint import advanced
from kcx_jax.decoding.drafts import Tally
from kcx_jax.decoding.slots import forward
from kcx_jax.decoding.state import Engine, Network, Queue, Slots, course_of, rows_at_start
from kcx_jax.decoding.verify import is_end, open_choices
from kcx_jax.models import empty_cache
from kcx_jax.ops.program import Program


class Beams(NamedTuple):
    """The answers of each context, the likeliest first; int32 unless said otherwise."""

    ids_BN: jax.Array
    logprob_BN: jax.Array  # float32
    count_B: jax.Array
    ended_B: jax.Array  # bool
    total_B: jax.Array  # float32, of the answer and its end; -inf for a beam that found nothing


@partial(Program, static_argnames=("engine", "beams", "most"))
def search(
    engine: Engine, network: Network, queue: Queue, tally: Tally | None, beams: int, most: int
) -> Beams:
    """The `beams` best answers to every context of the queue, by the sum of their tokens' log-probabilities.

    In each step a beam that has ended stays as it is, and stands beside the longer ones of the others.
    """
    Q, C = queue.tokens_QC.shape
    K, rows = beams, Q * beams
    own = empty_cache(engine.module.config, Q, C, engine.module.dtype)
    hidden_QCD, own = forward(engine, network, queue.tokens_QC, jnp.zeros(Q, jnp.int32), own)
    hidden_Q1D = jnp.take_along_axis(hidden_QCD, queue.length_Q[:, None, None] - 1, axis=1)
    request_B = jnp.repeat(jnp.arange(Q), K)

    def widened(x: jax.Array) -> jax.Array:
        """Caches [layers, Q, G, C, ...] for all beams, with room for their answers."""
        return jnp.pad(jnp.repeat(x, K, axis=1), ((0, 0),) * 3 + ((0, most),) + ((0, 0),))

    slots = rows_at_start(network, queue, jax.tree.map(widened, own), request_B, jnp.ones(rows, bool))
    first_B = jnp.arange(rows) % K == 0  # at the beginning all beams of a context are one
    found = Beams(
        ids_BN=jnp.zeros((rows, most), jnp.int32),
        logprob_BN=jnp.zeros((rows, most), jnp.float32),
        count_B=slots.count_B,
        ended_B=jnp.zeros(rows, bool),
        total_B=jnp.where(first_B, 0.0, -jnp.inf),
    )

    def step(state: tuple[Slots, Beams]) -> tuple[Slots, Beams]:
        slots, found = state
        hidden_B1D, cache = forward(engine, network, slots.next_B[:, None], slots.own_length_B, slots.cache)
        slots = slots._replace(cache=cache, own_length_B=slots.own_length_B + slots.live_B)
        return _extended(engine, network, queue, slots, found, hidden_B1D, K, tally)

    state = _extended(engine, network, queue, slots, found, jnp.repeat(hidden_Q1D, K, axis=0), K, tally)
    return lax.while_loop(lambda state: jnp.any(state[0].live_B), step, state)[1]


def _extended(
    engine: Engine,
    network: Network,
    queue: Queue,
    slots: Slots,
    found: Beams,
    hidden_B1D: jax.Array,
    K: int,
    tally: Tally | None,
) -> tuple[Slots, Beams]:
    """The K best of all beams with one more token, and of those that have ended."""
    rows, N = found.ids_BN.shape
    course = course_of(network, queue, slots, tally)
    choices = open_choices(engine, network, slots, hidden_B1D, course)
    score_BX, token_BX = choices.score_RWX[:, 0], choices.token_RWX[:, 0]
    logprob_BX = score_BX - jax.nn.logsumexp(score_BX, axis=1, keepdims=True)
    stays_BX = jnp.where(jnp.arange(score_BX.shape[1]) == 0, 0.0, -jnp.inf)
    grown_BX = found.total_B[:, None] + jnp.where(slots.live_B[:, None], logprob_BX, stays_BX)
    total_QK, which_QK = lax.top_k(grown_BX.reshape(rows // K, -1), K)
    parent_B = (which_QK // score_BX.shape[1] + jnp.arange(rows // K)[:, None] * K).reshape(-1)
    column_B = (which_QK % score_BX.shape[1]).reshape(-1)
    token_B, logprob_B = token_BX[parent_B, column_B], logprob_BX[parent_B, column_B]

    others, found = jax.tree.map(lambda x: x[parent_B], (slots[1:], found))
    slots = Slots(jax.tree.map(lambda x: x[:, parent_B], slots.cache), *others)
    ends_B = slots.live_B & is_end(network, token_B)
    grows_B = slots.live_B & ~ends_B
    where = jnp.arange(rows), jnp.where(grows_B, found.count_B, N)
    count_B = found.count_B + grows_B
    found = Beams(
        ids_BN=found.ids_BN.at[where].set(token_B, mode="drop"),
        logprob_BN=found.logprob_BN.at[where].set(logprob_B, mode="drop"),
        count_B=count_B,
        ended_B=found.ended_B | ends_B,
        total_B=total_QK.reshape(-1),
    )
    possible_B = jnp.isfinite(found.total_B)
    place = slots.place
    if course is not None:  # beams of one context have the same sentence
        before, ways = jax.tree.map(lambda x: x[0, parent_B], (course.line.place, course.line.ways))
        place = advanced(course.structure, ways, course.rules.sentences, before, token_B)
    return slots._replace(
        next_B=token_B,
        count_B=count_B,
        live_B=grows_B & possible_B & (count_B < queue.limit_Q[slots.request_B]),
        place=place,
    ), found
