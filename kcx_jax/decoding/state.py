"""The arrays of decoding: what is given, and what changes from step to step.

Shapes: B = slots, Q = contexts in the queue, C = their width, N = most new tokens, S = slots of a row's own cache,
V = vocabulary, I = ids that end an answer.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kcx_jax.decoding.constraint import Place, Sentences, Structure
from kcx_jax.decoding.copies import Copying
from kcx_jax.decoding.drafts import Line, Tally, make_line
from kcx_jax.decoding.prefixes import Prefix
from kcx_jax.decoding.spans import NOWHERE
from kcx_jax.decoding.stops import StopTexts
from kcx_jax.models import Transformer, empty_cache, laid_cache
from kcx_jax.models.sharding import constrain
from kcx_jax.ops.layouts import KV
from kcx_jax.ops.sampling import READ, Sampler, remembered


@dataclass(frozen=True)
class Engine:
    """What a program is compiled for: the model, how many contexts are read at once, in the narrowest of which `reads`
    (tokens, ascending), how many tokens a slot reads in a step along each of how many lines of drafts, and whether
    log-probabilities among all tokens are wanted. Of the head's rows the tokenizer has `ids`; heads are often larger.
    """

    module: Transformer
    admitted: int
    reads: tuple[int, ...]
    width: int
    lines: int
    raw: bool
    ids: int


class Ends(NamedTuple):
    """What ends an answer: ids, not among the first `least` tokens; or a text."""

    id_I: jax.Array
    least: jax.Array
    texts: StopTexts | None


class Network(NamedTuple):
    """What answers are computed with. Without a `structure` anything may be written."""

    variables: Any
    inverse_norm_V: jax.Array | None
    prefix: Prefix
    structure: Structure | None
    sampler: Sampler
    ends: Ends


class Rules(NamedTuple):
    """The sentences of contexts, how they are copied, and the nodes where their answers begin."""

    sentences: Sentences
    copying: Copying
    node_Q: jax.Array


class Queue(NamedTuple):
    """Places for contexts, int32 unless said otherwise; those in the first `filled` places of `order_Q` wait."""

    filled: jax.Array
    order_Q: jax.Array  # which is read after which
    tokens_QC: jax.Array  # right-padded
    length_Q: jax.Array
    limit_Q: jax.Array  # most new tokens
    number_Q: jax.Array  # of the request, for draws
    seen_V: jax.Array | None  # uint8, `READ` for the prefix's tokens, where the sampler remembers
    rules: Rules | None
    teacher_QN: jax.Array | None  # tokens that answers are made to have


class Slots(NamedTuple):
    """All rows in work, int32 unless said otherwise."""

    cache: (
        KV  # [layers, B * lines, G, S, C]: a slot's, one behind another, hold the same but what its lines try
    )
    own_length_B: jax.Array  # filled slots of the cache
    next_B: jax.Array  # the token that was chosen last and not read yet
    request_B: jax.Array  # its place in the queue
    count_B: jax.Array  # tokens written
    live_B: jax.Array  # bool: still writing
    place: Place | None
    behind_B: jax.Array | None  # where in the sentence the last text ended
    recent_BN: jax.Array | None  # what the row last wrote at each node, `NOWHERE` for nothing
    seen_BV: jax.Array | None  # uint8, `READ` and `WRITTEN`
    stop_B: jax.Array | None  # the state of `StopTexts`


class Answers(NamedTuple):
    """What the queue's contexts got, int32 unless said otherwise."""

    ids_QN: jax.Array
    logprob_QN: jax.Array  # float32, among the tokens that were allowed
    raw_QN: jax.Array | None  # float32, among all
    total_Q: jax.Array  # float32, of the log-probabilities, that of an end token among them
    count_Q: jax.Array
    done_Q: jax.Array  # bool
    ended_Q: jax.Array  # bool: by what `Ends` says, not by the limit
    forwards_Q: jax.Array  # steps of decoding
    drafted_Q: jax.Array
    accepted_Q: jax.Array  # drafts that were right


class State(NamedTuple):
    """Everything that changes; donated from call to call."""

    slots: Slots
    answers: Answers
    asked: jax.Array  # contexts that were taken from the queue, since the host had its turn
    steps: jax.Array  # that may still be done before the host has its turn
    tally: Tally | None


class Course(NamedTuple):
    """Rows under a constraint: its structure, the rules of the rows' contexts, and their places along their drafts."""

    structure: Structure
    rules: Rules
    line: Line


def course_of(
    network: Network,
    queue: Queue,
    rows: Slots,
    tally: Tally | None,
    width: int = 1,
    turn_B: jax.Array | None = None,
) -> Course | None:
    """The rows' course over so many tokens, with the turns of `make_line`; None where anything may be written."""
    if queue.rules is None:
        return None
    structure, place, behind_B, recent_BN = network.structure, rows.place, rows.behind_B, rows.recent_BN
    assert structure is not None
    assert place is not None
    assert behind_B is not None
    assert recent_BN is not None
    assert tally is not None
    rules = jax.tree.map(lambda x: x[rows.request_B], queue.rules)
    turn_B = jnp.zeros_like(behind_B) if turn_B is None else turn_B
    given = structure, rules.sentences, rules.copying, tally, place, behind_B, recent_BN, turn_B
    line = make_line(*given, width)
    return Course(structure, rules, line)


def rows_at_start(
    network: Network, queue: Queue, cache: KV, request_B: jax.Array, live_B: jax.Array
) -> Slots:
    """Rows behind these contexts of the queue, and before their answers."""

    def zeros() -> jax.Array:
        return jnp.zeros(request_B.size, jnp.int32)  # a buffer each: all of a state are donated

    place = recent_BN = seen_BV = None
    if queue.rules is not None:
        assert network.structure is not None
        recent_BN = jnp.full((request_B.size, network.structure.slot_N.size), NOWHERE, jnp.int32)
        at_BP = jnp.zeros((request_B.size, queue.rules.sentences.border_BP.shape[1]), bool)
        place = Place(queue.rules.node_Q[request_B], at_BP, zeros() > 0)
    length_B = queue.length_Q[request_B]
    if queue.seen_V is not None:
        before_BV = jnp.broadcast_to(queue.seen_V, (request_B.size, queue.seen_V.size))
        real_BC = jnp.arange(queue.tokens_QC.shape[1]) < length_B[:, None]
        seen_BV = remembered(before_BV, queue.tokens_QC[request_B], real_BC, READ)
    return Slots(
        cache=cache,
        own_length_B=length_B,
        next_B=zeros(),
        request_B=request_B,
        count_B=zeros(),
        live_B=live_B,
        place=place,
        behind_B=None if place is None else zeros(),
        recent_BN=recent_BN,
        seen_BV=seen_BV,
        stop_B=None if network.ends.texts is None else zeros(),
    )


def new_state(
    engine: Engine, network: Network, queue: Queue, rows: int, most: int, widest: int, tally: Tally | None
) -> State:
    """`rows` free slots for steps of up to `widest` tokens, and room for the answers to the queue, of up to `most`."""
    contexts, width = queue.tokens_QC.shape

    def zeros(*shape: int, dtype: Any = jnp.int32) -> jax.Array:
        return jnp.zeros(shape, dtype)  # a buffer each: all are donated

    size = width + most + widest
    cache = empty_cache(engine.module.config, rows * engine.lines, size, engine.module.dtype)
    slots = rows_at_start(network, queue, cache, zeros(rows), zeros(rows, dtype=bool))
    answers = Answers(
        ids_QN=zeros(contexts, most),
        logprob_QN=zeros(contexts, most, dtype=jnp.float32),
        raw_QN=zeros(contexts, most, dtype=jnp.float32) if engine.raw else None,
        total_Q=zeros(contexts, dtype=jnp.float32),
        count_Q=zeros(contexts),
        done_Q=zeros(contexts, dtype=bool),
        ended_Q=zeros(contexts, dtype=bool),
        forwards_Q=zeros(contexts),
        drafted_Q=zeros(contexts),
        accepted_Q=zeros(contexts),
    )
    return laid(State(slots, answers, zeros(), zeros(), jax.tree.map(jnp.copy, tally)))


def laid(state: State) -> State:
    """The state as it lies on a mesh: slots over the batch axes, what the host reads whole on every device."""
    cache, *rows = state.slots
    rows = jax.tree.map(lambda x: constrain(x, "batch", *[None] * (x.ndim - 1)), rows)
    return State(Slots(laid_cache(cache), *rows), *whole(state[1:]))


def whole(tree: Any) -> Any:
    """Arrays as they lie on a mesh when every device has all of them."""
    return jax.tree.map(lambda x: constrain(x, *[None] * x.ndim), tree)
