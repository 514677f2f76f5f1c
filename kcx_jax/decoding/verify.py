"""Which tokens rows write: along their drafts as long as these are what is chosen, and one more.

Shapes: R = rows, W = tokens of a step, X = tokens to choose among, V = vocabulary, D = hidden size,
I = ids that end an answer.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kcx_jax.decoding.constraint import Structure, advanced, allowed, picked
from kcx_jax.decoding.drafts import candidates, ended_at, recent_behind
from kcx_jax.decoding.state import Course, Engine, Network, Queue, Slots
from kcx_jax.ops.sampling import WRITTEN, choose, remembered

_TEACHING = 1e4  # far above all scores


class Written(NamedTuple):
    """What rows wrote in a step, one token after another."""

    token_RW: jax.Array
    taken_RW: jax.Array  # bool: was chosen, by a live row, behind right drafts only
    answer_RW: jax.Array  # bool: is of the answer: taken, and not an id that ends it
    logprob_RW: jax.Array
    raw_RW: jax.Array | None
    drafted_R: jax.Array
    accepted_R: jax.Array
    ended_R: jax.Array  # bool


class Choices(NamedTuple):
    """What there is to choose from, with the scores; -inf for what may not be chosen."""

    token_RWX: jax.Array
    score_RWX: jax.Array
    total_RW: jax.Array | None  # log of the sum over all tokens


def verify(
    engine: Engine, network: Network, queue: Queue, rows: Slots, hidden_RWD: jax.Array, course: Course | None
) -> tuple[Slots, Written]:
    """The rows behind what they write, but for their caches; hidden states are those behind the row's last token and
    its drafts.
    """
    steps_W = jnp.arange(hidden_RWD.shape[1])
    choices = open_choices(engine, network, rows, hidden_RWD, course)
    seen_RWX = _seen(rows, choices.token_RWX, course)
    number_RW = jnp.broadcast_to(queue.number_Q[rows.request_B][:, None], hidden_RWD.shape[:2])
    score_RWX = _taught(queue, rows, choices)
    position_RW = rows.count_B[:, None] + steps_W
    which_RW = choose(score_RWX, choices.token_RWX, seen_RWX, network.sampler, number_RW, position_RW)

    def of_chosen(x_RWX: jax.Array) -> jax.Array:
        return jnp.take_along_axis(x_RWX, which_RW[..., None], axis=2)[..., 0]

    token_RW, own_RW = of_chosen(choices.token_RWX), of_chosen(score_RWX)
    ends_RW = is_end(network, token_RW)
    offered_RW, right_RW = _drafts(course, token_RW)
    last_R = jnp.sum(jnp.cumprod(right_RW & ~ends_RW[:, :-1], axis=1), axis=1, dtype=jnp.int32)
    last_R = jnp.minimum(last_R, queue.limit_Q[rows.request_B] - rows.count_B - 1)
    stop_R, stopped_R, last_R = _stopped(network, rows, token_RW, last_R)
    taken_RW = rows.live_B[:, None] & (steps_W <= last_R[:, None])
    answer_RW = taken_RW & ~ends_RW
    rows = _moved(rows, course, token_RW, taken_RW, last_R)
    ended_R = stopped_R | jnp.any(taken_RW & ends_RW, axis=1)
    if course is not None:
        ended_R |= _is_whole(network, course.structure, rows)
    ended_R &= rows.live_B
    count_R = rows.count_B + jnp.sum(answer_RW, axis=1, dtype=jnp.int32)
    written = Written(
        token_RW=token_RW,
        taken_RW=taken_RW,
        answer_RW=answer_RW,
        logprob_RW=own_RW - jax.nn.logsumexp(score_RWX, axis=2),
        raw_RW=None if choices.total_RW is None else own_RW - choices.total_RW,
        drafted_R=jnp.where(rows.live_B, jnp.sum(offered_RW, axis=1, dtype=jnp.int32), 0),
        accepted_R=jnp.where(rows.live_B, last_R, 0),
        ended_R=ended_R,
    )
    return rows._replace(
        next_B=picked(token_RW, last_R),
        count_B=count_R,
        live_B=rows.live_B & ~ended_R & (count_R < queue.limit_Q[rows.request_B]),
        seen_BV=None if rows.seen_BV is None else remembered(rows.seen_BV, token_RW, answer_RW, WRITTEN),
        stop_B=stop_R,
    ), written


def is_end(network: Network, tokens: jax.Array) -> jax.Array:
    """Which of the tokens are ids that end an answer."""
    return jnp.any(tokens[..., None] == network.ends.id_I, axis=-1)


def open_choices(
    engine: Engine, network: Network, rows: Slots, hidden_RWD: jax.Array, course: Course | None
) -> Choices:
    """What rows choose from behind each of their tokens."""
    return _without_early_end(network, rows, _choices(engine, network, hidden_RWD, course))


def _choices(engine: Engine, network: Network, hidden_RWD: jax.Array, course: Course | None) -> Choices:
    """Scores of all tokens, or, where that is less work, of those only that the rows' places name."""
    vocabulary = engine.module.config.vocab_size
    named = course is not None and course.structure.text is None

    def scored(*tokens: jax.Array) -> Any:
        method = "logits_of" if tokens else "logits"
        arguments = network.variables, hidden_RWD, *tokens, network.inverse_norm_V
        return engine.module.apply(*arguments, method=method)

    token_RWX, open_RWX = _open(engine, hidden_RWD.shape[:2], course)
    if named and not engine.raw and token_RWX.size <= vocabulary:
        return Choices(token_RWX, jnp.where(open_RWX, scored(jnp.maximum(token_RWX, 0)), -jnp.inf), None)
    logits_RWV = scored()
    score_RWX = jnp.take_along_axis(logits_RWV, jnp.maximum(token_RWX, 0), axis=2) if named else logits_RWV
    total_RW = jax.nn.logsumexp(logits_RWV, axis=2) if engine.raw else None
    return Choices(token_RWX, jnp.where(open_RWX, score_RWX, -jnp.inf), total_RW)


def _open(
    engine: Engine, shape: tuple[int, ...], course: Course | None
) -> tuple[jax.Array, jax.Array | bool]:
    """Tokens behind each of [R, W], -1 for none, and which of them may be chosen: none that no id stands for."""
    vocabulary = engine.module.config.vocab_size
    token_RWV = jnp.broadcast_to(jnp.arange(vocabulary, dtype=jnp.int32), (*shape, vocabulary))
    if course is None:
        return token_RWV, True if engine.ids == vocabulary else token_RWV < engine.ids
    _, rules, line = course
    if course.structure.text is not None:
        open_WRV = jax.vmap(lambda ways: allowed(ways, rules.sentences, vocabulary))(line.ways)
        return token_RWV, jnp.moveaxis(open_WRV, 0, 1)
    found = jax.vmap(lambda ways: candidates(ways, rules.copying))(line.ways)
    token_RWX, open_RWX = (jnp.moveaxis(each, 0, 1) for each in found)
    return token_RWX, open_RWX


def _without_early_end(network: Network, rows: Slots, choices: Choices) -> Choices:
    """Nothing ends an answer before it has its least number of tokens, unless there is no other way on."""
    early_RW = rows.count_B[:, None] + jnp.arange(choices.token_RWX.shape[1]) < network.ends.least
    ends_RWX = is_end(network, choices.token_RWX) & early_RW[..., None]
    score_RWX = jnp.where(ends_RWX, -jnp.inf, choices.score_RWX)
    others_RW1 = jnp.any(score_RWX > -jnp.inf, axis=2, keepdims=True)
    return choices._replace(score_RWX=jnp.where(others_RW1, score_RWX, choices.score_RWX))


def _taught(queue: Queue, rows: Slots, choices: Choices) -> jax.Array:
    """The scores with the teacher's tokens far above the others."""
    if queue.teacher_QN is None:
        return choices.score_RWX
    steps_RW = rows.count_B[:, None] + jnp.arange(choices.token_RWX.shape[1])
    last = queue.teacher_QN.shape[1] - 1
    token_RW = queue.teacher_QN[rows.request_B[:, None], jnp.minimum(steps_RW, last)]
    return choices.score_RWX + jnp.where(choices.token_RWX == token_RW[..., None], _TEACHING, 0)


def _seen(rows: Slots, token_RWX: jax.Array, course: Course | None) -> jax.Array | None:
    """Whether each token was read or written before, drafts in front of it included; [R, W, X] uint8."""
    if rows.seen_BV is None:
        return None
    seen_RWX = jnp.take_along_axis(rows.seen_BV[:, None], jnp.maximum(token_RWX, 0), axis=2)
    for step in range(1, token_RWX.shape[1]):
        assert course is not None
        drafted_RW = course.line.token_WB[:step].T
        written_RX = jnp.any(token_RWX[:, step, None] == drafted_RW[..., None], axis=1)
        seen_RWX = seen_RWX.at[:, step].set(
            seen_RWX[:, step] | jnp.where(written_RX, WRITTEN, 0).astype(jnp.uint8)
        )
    return seen_RWX


def _drafts(course: Course | None, token_RW: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which drafts were there [R, W - 1], and which of them are what was chosen."""
    if course is None:
        none = jnp.zeros((len(token_RW), token_RW.shape[1] - 1), bool)
        return none, none
    draft_RW = course.line.token_WB[:-1].T
    offered_RW = jnp.cumprod(draft_RW >= 0, axis=1).astype(bool)
    return offered_RW, offered_RW & (draft_RW == token_RW[:, :-1])


def _stopped(
    network: Network, rows: Slots, token_RW: jax.Array, last_R: jax.Array
) -> tuple[jax.Array | None, jax.Array, jax.Array]:
    """The state of the texts that end answers behind what is written, whether one did, and the last token then."""
    texts = network.ends.texts
    if texts is None or rows.stop_B is None:
        return None, jnp.zeros(len(token_RW), bool), last_R

    def read(state_R: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        token_R, early_R = one
        after_R = texts.next_SV[state_R, token_R]
        if texts.passing_SV is not None:
            after_R = jnp.where(early_R, texts.passing_SV[state_R, token_R], after_R)
        state_R = after_R.astype(jnp.int32)
        return state_R, state_R

    steps_W = jnp.arange(token_RW.shape[1])
    early_RW = rows.count_B[:, None] + steps_W + 1 < network.ends.least
    state_RW = lax.scan(read, rows.stop_B, (token_RW.T, early_RW.T))[1].T
    hit_RW = (state_RW == texts.hit) & (steps_W <= last_R[:, None])
    stopped_R = jnp.any(hit_RW, axis=1)
    last_R = jnp.where(stopped_R, jnp.argmax(hit_RW, axis=1), last_R).astype(jnp.int32)
    return picked(state_RW, last_R), stopped_R, last_R


def _moved(
    rows: Slots, course: Course | None, token_RW: jax.Array, taken_RW: jax.Array, last_R: jax.Array
) -> Slots:
    """The rows with their places behind the last token that they wrote."""
    if course is None:
        return rows
    structure, rules, line = course
    row_R = jnp.arange(last_R.size)
    before, behind_R, ways = jax.tree.map(lambda x: x[last_R, row_R], (line.place, line.behind_WB, line.ways))
    place = advanced(structure, ways, rules.sentences, before, picked(token_RW, last_R))
    assert rows.recent_BN is not None
    recent_BN = recent_behind(rows.recent_BN, line.place.node_B, token_RW.T, taken_RW.T)
    return rows._replace(place=place, behind_B=ended_at(before, place, behind_R), recent_BN=recent_BN)


def _is_whole(network: Network, structure: Structure, rows: Slots) -> jax.Array:
    """Whether nothing is left to the rows but to end; bool [R]. Nobody has to read the last bracket to know that."""
    assert rows.place is not None
    first_R, end_R = (structure.first_N1[rows.place.node_B + step] for step in (0, 1))
    only_R = (end_R - first_R == 1) & ~structure.slot_N[rows.place.node_B]
    return only_R & is_end(network, structure.token_E[first_R])
