"""Some contexts of one call on the device: the arrays they need, their answers as texts.

Shapes: as in `state`; K = beams of a context.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from kcx_jax.decoding.beams import search
from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.prefixes import Prefix
from kcx_jax.decoding.rules import Rows
from kcx_jax.decoding.slots import run
from kcx_jax.decoding.state import Ends, Engine, Network, Queue, new_state
from kcx_jax.decoding.stops import stop_texts
from kcx_jax.errors import UsageError
from kcx_jax.models import ModelConfig, Transformer
from kcx_jax.ops.sampling import GREEDY, READ, Sampling
from kcx_jax.tokenizer import Tokenizer

# Few sizes, because each one is compiled: powers of two from these on.
_SMALLEST_ANSWER = 32
_SMALLEST_STOPS = 4
_ADMITTED_TOKENS = 8192  # contexts are read in groups of at most about so many tokens
QUEUED = 16  # contexts in the queue for each slot
_MOST_CUT = 2 << 30  # bytes of layers that a program on a CPU may have twice, to be faster
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


@dataclass(frozen=True)
class Stops:
    """What ends an answer beside the tokenizer's end token, and how many tokens it has at least.

    The answer's text is without them, and so are its ids but for those of a text.
    """

    ids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    min_tokens: int = 0


NO_STOPS = Stops()


@dataclass(frozen=True)
class Generated:
    """One answer: its text, its ids without the end token, and the natural-log probability of each among the tokens
    that were allowed there.

    `finish_reason` "length" means that the answer was cut off at the limit of new tokens. `raw_logprobs` are among all
    tokens, where they were asked for. `forwards` steps of the model wrote it, the first token apart; of `drafted`
    tokens `accepted` were right.
    """

    text: str
    ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"]
    logprobs: tuple[float, ...]
    raw_logprobs: tuple[float, ...] | None = None
    forwards: int = field(default=0, compare=False)
    drafted: int = field(default=0, compare=False)
    accepted: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Asked:
    """The arguments of a call; see `Generator.generate_ids`."""

    prefix_ids: Sequence[int]
    contexts_ids: Sequence[Sequence[int]]
    max_new_tokens: int
    rules: Rows | None
    sampling: Sampling = GREEDY
    stops: Stops = NO_STOPS
    numbers: Sequence[int] | None = None
    teacher: Sequence[Sequence[int]] | None = None

    @property
    def most(self) -> int:
        """Room for the tokens of an answer."""
        return bucket(self.max_new_tokens, _SMALLEST_ANSWER)


def network_of(model: Model, prefix: Prefix, asked: Asked) -> Network:
    """What a call's answers are computed with. `UsageError` for stops and sampling that cannot be."""
    stops, vocabulary = asked.stops, model.config.vocab_size
    ids = [model.config.eos_id, *stops.ids]
    if not all(0 <= token < vocabulary for token in ids) or stops.min_tokens < 0:
        raise UsageError("ids that end an answer must lie in the vocabulary, and min_tokens be zero or more.")
    ids += [model.config.eos_id] * (bucket(len(ids), _SMALLEST_STOPS) - len(ids))
    texts = stop_texts(stops.texts, model.tokenizer.token_bytes()) if stops.texts else None
    return Network(
        model.variables,
        model.inverse_norms,
        prefix,
        None if asked.rules is None else asked.rules.rule.structure,
        asked.sampling.sampler(vocabulary),
        Ends(jnp.asarray(np.array(ids, np.int32)), jnp.int32(stops.min_tokens), texts),
    )


def _is_cut(model: Model) -> bool:
    """Whether a program has its own copy of each layer's weights (`cut_by_layer`).

    In a loop over layers XLA for CPUs copies a layer's weights out of those of all, in every step of decoding: a fifth
    of the time. GPUs read them where they are.
    """
    if jax.default_backend() != "cpu" or model.mesh is not None:
        return False
    layers = [tree["layers"] for tree in model.variables.values()]
    return sum(leaf.nbytes for leaf in jax.tree.leaves(layers)) <= _MOST_CUT


class Batch:
    """Contexts `chosen` of what is asked, none longer than `width`, on their way through `rows` slots."""

    def __init__(
        self,
        model: Model,
        network: Network,
        asked: Asked,
        chosen: Sequence[int],
        width: int,
        rows: int,
        step_width: int,
        lines: int,
        raw_logprobs: bool,
    ):
        self.model, self.network, self.asked = model, network, asked
        self.chosen, self.width, self.rows = chosen, width, rows
        self.rule = None if asked.rules is None else asked.rules.rule
        self.engine = Engine(
            model.module.clone(unrolled=_is_cut(model)),
            admitted=min(max(1, rows // 4), max(1, _ADMITTED_TOKENS // width)),
            width=1 if self.rule is None else step_width,
            lines=1 if self.rule is None or step_width == 1 else lines,
            raw=raw_logprobs,
        )

    def answers(self) -> Iterator[tuple[int, Generated]]:
        """(place in the call, answer) of each context, as they become ready."""
        queue = self._queue(self.rows if len(self.chosen) <= self.rows else QUEUED * self.rows)
        tally = None if self.rule is None else self.rule.tally
        state = new_state(self.engine, self.network, queue, self.rows, self.asked.most, tally)
        given = np.zeros(len(self.chosen), bool)
        while not given.all():
            state = run(self.engine, self.network, queue, state._replace(steps=jnp.int32(_STEPS)))
            done = np.asarray(state.answers.done_Q)[: given.size]
            answers = jax.device_get(state.answers)
            for place in np.flatnonzero(done & ~given).tolist():
                count = answers.count_Q[place]
                yield (
                    self.chosen[place],
                    self._generated(
                        answers.ids_QN[place, :count],
                        answers.logprob_QN[place, :count],
                        bool(answers.ended_Q[place]),
                        raw_logprobs=None
                        if answers.raw_QN is None
                        else tuple(answers.raw_QN[place, :count].tolist()),
                        forwards=int(answers.forwards_Q[place]),
                        drafted=int(answers.drafted_Q[place]),
                        accepted=int(answers.accepted_Q[place]),
                    ),
                )
            given = done
            if self.rule is not None and state.tally is not None:
                self.rule.tally = jax.tree.map(jnp.copy, state.tally)

    def best(self, beams: int) -> Iterator[tuple[int, list[Generated]]]:
        """(place in the call, the answers of a beam search, the likeliest first) of each context."""
        tally = None if self.rule is None else self.rule.tally
        queue = self._queue(self.rows)
        found = jax.device_get(search(self.engine, self.network, queue, tally, beams, self.asked.most))
        for place, index in enumerate(self.chosen):
            rows = [
                row for row in range(place * beams, (place + 1) * beams) if np.isfinite(found.total_B[row])
            ]
            yield (
                index,
                [
                    self._generated(
                        found.ids_BN[row, : found.count_B[row]],
                        found.logprob_BN[row, : found.count_B[row]],
                        bool(found.ended_B[row]),
                    )
                    for row in rows
                ],
            )

    def _generated(self, ids_N: np.ndarray, logprob_N: np.ndarray, ended: bool, **others: Any) -> Generated:
        ids = ids_N.tolist()
        text = self.model.tokenizer.decode(ids)
        places = [text.find(stop) for stop in self.asked.stops.texts]
        text = text[: min((place for place in places if place >= 0), default=len(text))]
        return Generated(text, tuple(ids), "stop" if ended else "length", tuple(logprob_N.tolist()), **others)

    def _queue(self, size: int) -> Queue:
        asked, room = self.asked, self.model.config.max_positions - len(self.asked.prefix_ids)
        tokens_QC = np.zeros((size, self.width), np.int32)
        length_Q, limit_Q, number_Q = (np.ones(size, np.int32) for _ in range(3))
        teacher_QN = None
        if asked.teacher is not None:
            teacher_QN = np.full((size, asked.most), self.model.config.eos_id, np.int32)
        for place, index in enumerate(self.chosen):
            ids = asked.contexts_ids[index]
            tokens_QC[place, : len(ids)] = ids
            length_Q[place] = len(ids)
            limit_Q[place] = min(asked.max_new_tokens, room - len(ids))
            number_Q[place] = index if asked.numbers is None else asked.numbers[index]
            if teacher_QN is not None and asked.teacher is not None:
                taught = asked.teacher[index][: asked.most]
                teacher_QN[place, : len(taught)] = taught
        seen_V = None
        if asked.sampling.remembers:
            seen_V = np.zeros(self.model.config.vocab_size, np.uint8)
            seen_V[list(asked.prefix_ids)] = READ
        return Queue(
            filled=jnp.int32(len(self.chosen)),
            tokens_QC=jnp.asarray(tokens_QC),
            length_Q=jnp.asarray(length_Q),
            limit_Q=jnp.asarray(limit_Q),
            number_Q=jnp.asarray(number_Q),
            seen_V=None if seen_V is None else jnp.asarray(seen_V),
            rules=None if asked.rules is None else asked.rules.of(self.chosen, size),
            teacher_QN=None if teacher_QN is None else jnp.asarray(teacher_QN),
        )
