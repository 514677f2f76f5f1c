"""Requests of the same terms on the device: the arrays they need, their answers as texts.

Shapes: as in `state`; K = beams of a context.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from kcx_jax.decoding.beams import search
from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.changes import left, put, resized
from kcx_jax.decoding.prefixes import Prefix
from kcx_jax.decoding.requests import SMALLEST_ANSWER, Generated, Request, Stops, Terms
from kcx_jax.decoding.rules import Room, Rule, rules_of
from kcx_jax.decoding.slots import run
from kcx_jax.decoding.state import Ends, Engine, Network, Queue, new_state, whole
from kcx_jax.decoding.stops import stop_texts
from kcx_jax.decoding.texts import text_of
from kcx_jax.errors import UsageError
from kcx_jax.models import ModelConfig, Transformer, unstacked
from kcx_jax.ops.sampling import READ, Sampling
from kcx_jax.tokenizer import Tokenizer

_SMALLEST_STOPS = 4  # ids that end an answer, and powers of two from there on, because each is compiled
_ADMITTED_TOKENS = 8192  # contexts are read in groups of at most about so many tokens
_PUT = 16  # contexts that are put into the queue at once
_MOST_CUT = 2 << 30  # bytes of layers that are kept twice on a CPU, to be faster
_STEPS = 256  # of the device before the host has its turn: to take what is done, and to be interrupted


class Model(Protocol):
    """What is needed of a model, as `kcx_jax.checkpoints.load_pretrained` returns it."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def module(self) -> Transformer: ...
    @property
    def variables(self) -> Any: ...
    @property
    def inverse_norms(self) -> jax.Array | None: ...
    @property
    def mesh(self) -> Mesh | None: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def generation(self) -> Mapping[str, Any] | None: ...


def terms_of(
    model: Model,
    prefix_ids: Sequence[int],
    limit: int,
    rule: Rule | None,
    sampling: Sampling,
    stops: Stops,
) -> Terms:
    """The terms of requests for up to `limit` tokens: without a rule the model's own ends are among its stops.

    `UsageError` for stops and sampling that cannot be.
    """
    vocabulary, end = model.config.vocab_size, model.config.eos_id
    ids = [end, *stops.ids]
    least = stops.min_tokens
    if not all(0 <= token < vocabulary for token in ids) or not isinstance(least, Integral) or least < 0:
        raise UsageError(
            "ids that end an answer must lie in the vocabulary, and min_tokens be a whole number from zero on."
        )
    if rule is None:  # else the automaton knows where an answer is at its end
        ids += _own_ends(model)
    ids += [end] * (bucket(len(ids), _SMALLEST_STOPS) - len(ids))
    texts = None
    if stops.texts:
        texts = stop_texts(stops.texts, model.tokenizer.shown_bytes, passing=least > 1)
    ends = Ends(jnp.asarray(np.array(ids, np.int32)), jnp.int32(least), texts)
    most = bucket(limit, SMALLEST_ANSWER)
    return Terms(prefix_ids, most, rule, sampling, stops, sampling.sampler(vocabulary), ends)


def _own_ends(model: Model) -> list[int]:
    """The ids that end an answer by the model's generation_config.json: a chat model may have several (Llama 3, Qwen).

    Raises `UsageError` where these are no ids; those outside the vocabulary are never written, and left out.
    """
    given = (model.generation or {}).get("eos_token_id")
    ids = given if isinstance(given, list) else [] if given is None else [given]
    if not all(type(token) is int for token in ids):
        raise UsageError(f"eos_token_id of the model's generation_config.json must be ids, found {given!r}.")
    return [token for token in ids if 0 <= token < model.config.vocab_size]


def variables_of(model: Model) -> Any:
    """The model's variables as its programs take them: where these have layers one after another, each layer's own."""
    if not _is_cut(model):
        return model.variables
    return {name: {**tree, "layers": _apart(tree["layers"])} for name, tree in model.variables.items()}


def network_of(model: Model, variables: Any, prefix: Prefix, terms: Terms) -> Network:
    """What answers are computed with; `variables` are those of `variables_of`."""
    structure = None if terms.rule is None else terms.rule.structure
    if _is_cut(model):
        prefix = prefix._replace(kv=_apart(prefix.kv))
    return Network(variables, model.inverse_norms, prefix, structure, terms.sampler, terms.ends)


_apart = jax.jit(unstacked)  # in one program, not one for each layer


class Shape(NamedTuple):
    """Sizes of a batch: places of its queue, slots, tokens of a context, room for the rules of sentences."""

    places: int
    rows: int
    width: int
    room: Room | None


def engine_of(
    model: Model, terms: Terms, shape: Shape, reads: tuple[int, ...], step_width: int, lines: int, raw: bool
) -> Engine:
    """How a batch of this shape is decoded: contexts are read in the narrowest of `reads`; where there are drafts,
    slots read `step_width` tokens in a step along each of so many lines.
    """
    drafts = terms.rule is not None and step_width > 1
    return Engine(
        model.module.clone(unrolled=_is_cut(model)),
        admitted=min(max(1, shape.rows // 4), max(1, _ADMITTED_TOKENS // shape.width)),
        reads=reads,
        width=step_width if drafts else 1,
        lines=lines if drafts else 1,
        raw=raw,
        ids=model.tokenizer.vocab_size,
    )


def _is_cut(model: Model) -> bool:
    """Whether programs have layers one after another, each with its own weights.

    In a loop over layers XLA for CPUs copies a layer's weights out of those of all, in every step of decoding: a fifth
    of the time. GPUs read them where they are.
    """
    if jax.default_backend() != "cpu" or model.mesh is not None:
        return False
    layers = [tree["layers"] for tree in model.variables.values()]
    return sum(leaf.nbytes for leaf in jax.tree.leaves(layers)) <= _MOST_CUT


def queue_of(model: Model, terms: Terms, requests: Sequence[Request], shape: Shape) -> Queue:
    """A queue whose first places have these requests."""
    size = shape.places
    tokens_QC = np.zeros((size, shape.width), np.int32)
    length_Q, limit_Q, number_Q = (np.ones(size, np.int32) for _ in range(3))
    teacher_QN = None
    if any(each.teacher is not None for each in requests):
        teacher_QN = np.full((size, terms.most), model.config.eos_id, np.int32)
    for place, request in enumerate(requests):
        ids = request.context_ids
        tokens_QC[place, : len(ids)] = ids
        length_Q[place], limit_Q[place], number_Q[place] = len(ids), request.limit, request.number
        if teacher_QN is not None and request.teacher is not None:
            taught = request.teacher[: terms.most]
            teacher_QN[place, : len(taught)] = taught
    seen_V = rules = None
    if terms.sampling.remembers:
        seen_V = np.zeros(model.config.vocab_size, np.uint8)
        seen_V[list(terms.prefix_ids)] = READ
    if terms.rule is not None and shape.room is not None:
        own = [each.own for each in requests if each.own is not None]
        rules = rules_of(terms.rule, own, shape.room, size)
    return whole(
        Queue(
            filled=jnp.int32(len(requests)),
            order_Q=jnp.arange(size, dtype=jnp.int32),
            tokens_QC=jnp.asarray(tokens_QC),
            length_Q=jnp.asarray(length_Q),
            limit_Q=jnp.asarray(limit_Q),
            number_Q=jnp.asarray(number_Q),
            seen_V=None if seen_V is None else jnp.asarray(seen_V),
            rules=rules,
            teacher_QN=None if teacher_QN is None else jnp.asarray(teacher_QN),
        )
    )


Key = TypeVar("Key", bound=Hashable)
Tree = TypeVar("Tree")


class Batch(Generic[Key]):
    """Requests on their way through slots, each under a key of the caller's: those given at first, and those added.

    `held`: the key of the request at each place that is taken; `waiting`: places that no slot has read yet, in their
    order. `widest`: the most tokens that a slot will read in a step, by this engine or by one that it is resized to.
    """

    def __init__(
        self,
        model: Model,
        network: Network,
        terms: Terms,
        requests: Sequence[tuple[Key, Request]],
        shape: Shape,
        engine: Engine,
        widest: int,
    ):
        self.model, self.network, self.terms, self.shape, self.engine = model, network, terms, shape, engine
        self.held = {place: key for place, (key, _) in enumerate(requests)}
        self.waiting = list(self.held)
        self.forwards = 0
        queue = queue_of(model, terms, [request for _, request in requests], shape)
        tally = None if terms.rule is None else terms.rule.tally
        state = new_state(engine, network, queue, shape.rows, terms.most, widest, tally)
        self._queue, self._state = self._bound(queue), self._bound(state)
        self._answers: Any = None  # `Answers` as arrays of the host

    @property
    def live(self) -> int:
        """Requests that are in slots."""
        return len(self.held) - len(self.waiting)

    @property
    def free(self) -> int:
        """Places for more requests."""
        return self.shape.places - len(self.held)

    def answers(self) -> Iterator[tuple[Key, Generated]]:
        """Decode until all is answered; answers as they become ready."""
        while self.held:
            yield from self.turn(_STEPS)

    def turn(self, steps: int) -> list[tuple[Key, Generated]]:
        """Decode for at most so many steps; what became ready, whose places are free then."""
        rule = self.terms.rule
        order_Q = np.zeros(self.shape.places, np.int32)
        order_Q[: len(self.waiting)] = self.waiting
        queue = self._queue._replace(filled=jnp.int32(len(self.waiting)), order_Q=jnp.asarray(order_Q))
        copied = None if rule is None else whole(jax.tree.map(jnp.copy, rule.tally))  # the state is donated
        state = self._state._replace(asked=jnp.int32(0), steps=jnp.int32(steps), tally=self._bound(copied))
        self._answers = None
        self._state = run(self.engine, self.network, queue, state)
        self._answers = answers = jax.device_get(self._state.answers)
        self.forwards += steps - int(self._state.steps)
        del self.waiting[: int(self._state.asked)]
        if rule is not None and self._state.tally is not None:
            rule.tally = self._state.tally
        done = [place for place in self.held if answers.done_Q[place]]
        return [(self.held.pop(place), self._generated(answers, place)) for place in done]

    def written(self) -> Iterator[tuple[Key, np.ndarray]]:
        """The ids so far of each request that is in a slot."""
        if self._answers is not None:
            waiting = set(self.waiting)
            for place, key in self.held.items():
                if place not in waiting:
                    yield key, self._answers.ids_QN[place, : self._answers.count_Q[place]]

    def add(self, requests: Sequence[tuple[Key, Request]]) -> None:
        """Let these wait behind the others; not more than there are free places."""
        free = [place for place in range(self.shape.places) if place not in self.held]
        size = min(_PUT, self.shape.places)
        for first in range(0, len(requests), size):
            some, places = requests[first : first + size], free[first : first + size]
            places = places[: len(some)]
            new = queue_of(
                self.model, self.terms, [request for _, request in some], self.shape._replace(places=size)
            )
            place_A = np.full(size, self.shape.places, np.int32)
            place_A[: len(places)] = places
            self._answers = None
            self._queue, answers = put(self._queue, self._state.answers, new, jnp.asarray(place_A))
            self._state = self._state._replace(answers=answers)
            self.held.update((place, key) for place, (key, _) in zip(places, some, strict=True))
            self.waiting += places

    def leave(self, keys: set[Key]) -> None:
        """Leave requests as they are; their slots are free at once."""
        places = [place for place, key in self.held.items() if key in keys]
        left_Q = np.zeros(self.shape.places, bool)
        left_Q[places] = True
        slots = self._state.slots
        live_B = left(slots.live_B, slots.request_B, jnp.asarray(left_Q))
        self._state = self._state._replace(slots=slots._replace(live_B=live_B))
        self.waiting = [place for place in self.waiting if not left_Q[place]]
        for place in places:
            del self.held[place]

    def resize(self, rows: int, engine: Engine) -> None:
        """Go on with so many slots, not fewer than are live."""
        self._state = resized(self._state, rows, self.engine.lines, engine.lines)
        self.shape, self.engine = self.shape._replace(rows=rows), engine

    def _bound(self, tree: Tree) -> Tree:
        """Arrays bound to the model's device, as its programs leave theirs: for others each is compiled once more. On a
        mesh they are that already.
        """
        if self.model.mesh is not None:
            return tree
        return jax.device_put(tree, next(iter(jax.tree.leaves(self.model.variables)[0].devices())))

    def _generated(self, answers: Any, place: int) -> Generated:
        count, raw_QN = answers.count_Q[place], answers.raw_QN
        return generated(
            self.model.tokenizer,
            self.terms.stops,
            answers.ids_QN[place, :count],
            answers.logprob_QN[place, :count],
            bool(answers.ended_Q[place]),
            float(answers.total_Q[place]),
            raw_logprobs=None if raw_QN is None else tuple(raw_QN[place, :count].tolist()),
            forwards=int(answers.forwards_Q[place]),
            drafted=int(answers.drafted_Q[place]),
            accepted=int(answers.accepted_Q[place]),
        )


def generated(
    tokenizer: Tokenizer,
    stops: Stops,
    ids_N: np.ndarray,
    logprob_N: np.ndarray,
    ended: bool,
    total: float,
    **others: Any,
) -> Generated:
    """An answer of these ids, its text up to the first of the texts that end it."""
    ids = ids_N.tolist()
    text, logprobs = text_of(tokenizer, ids, stops), tuple(logprob_N.tolist())
    return Generated(text, tuple(ids), "stop" if ended else "length", logprobs, total=total, **others)


def best_answers(
    model: Model,
    network: Network,
    terms: Terms,
    requests: Sequence[Request],
    shape: Shape,
    engine: Engine,
    beams: int,
) -> Iterator[list[Generated]]:
    """The answers of a beam search to each of the requests, the likeliest first, and of those that read alike."""
    tally = None if terms.rule is None else terms.rule.tally
    queue = queue_of(model, terms, requests, shape)
    found = jax.device_get(search(engine, network, queue, tally, beams, terms.most))
    for place in range(len(requests)):
        rows = [row for row in range(place * beams, (place + 1) * beams) if np.isfinite(found.total_B[row])]
        distinct: dict[tuple[str, str], Generated] = {}
        for row in rows:
            answer = generated(
                model.tokenizer,
                terms.stops,
                found.ids_BN[row, : found.count_B[row]],
                found.logprob_BN[row, : found.count_B[row]],
                bool(found.ended_B[row]),
                float(found.total_B[row]),
            )
            distinct.setdefault((answer.text, answer.finish_reason), answer)
        yield [*distinct.values()]
