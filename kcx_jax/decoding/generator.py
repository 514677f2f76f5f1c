"""`Generator`: many contexts after one shared prefix -> answers, in the caller's order.

The schema is read once and kept; contexts of like length make a queue, and move into slots as these become free, so
that one long answer does not hold up a batch.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.prefixes import Prefix, PrefixCache, read_prefix
from kcx_jax.decoding.rules import Constraint, Rows, Rulebook
from kcx_jax.decoding.slots import run
from kcx_jax.decoding.state import Ends, Engine, Network, Queue, new_state
from kcx_jax.decoding.stops import stop_texts
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.models import ModelConfig, Transformer
from kcx_jax.ops.sampling import GREEDY, READ, Sampling
from kcx_jax.tokenizer import Tokenizer
from kcx_jax.tokenizer.cut import encode_below

# Few sizes, because each one is compiled: powers of two from these on.
_SMALLEST_CONTEXT = 64
_SMALLEST_ANSWER = 32
_SMALLEST_STOPS = 4
_ADMITTED_TOKENS = 8192  # contexts are read in groups of at most about so many tokens
_CACHED_TOKENS = 65_536  # fewer slots where contexts are long: slots * (context + answer) stays below this
_QUEUED = 16  # contexts in the queue for each slot
_STEPS = 256  # of the device before the host has its turn: to take what is done, and to be interrupted
_STEP_TOKENS = 256  # read by all slots in a step, at most: beyond that a GPU takes longer for more
_WIDEST = 8
_WIDEST_ON_CPU = 6


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


class ContextTooLongError(KcxError):
    """Prefix and context leave no room for an answer. `index` is the context's place in the call."""

    def __init__(self, index: int, prefix: int, context: int, positions: int):
        super().__init__(
            f"context {index}: {context} tokens after a prefix of {prefix} leave no room for an answer "
            f"in the model's {positions} positions. Split the text, or use a smaller schema."
        )
        self.index, self.prefix, self.context, self.positions = index, prefix, context, positions


class Generator:
    """Decoding with a model, many rows at a time.

    `slots` rows are decoded together (fewer for long contexts). `prefix_bytes` bounds the cache of prefixes. `width` is
    how many tokens a slot reads in a step where answers are constrained, drafts included (1: no drafts; None: by the
    number of slots). `raw_logprobs` asks for log-probabilities among all tokens, for which the whole head is computed.
    """

    def __init__(
        self,
        model: Model,
        slots: int = 64,
        prefix_bytes: int = 2 << 30,
        width: int | None = None,
        raw_logprobs: bool = False,
    ):
        self.model = model
        self.slots, self.width, self.raw_logprobs = slots, width, raw_logprobs
        self.prefixes = PrefixCache(prefix_bytes)

    @cached_property
    def _rulebook(self) -> Rulebook:
        return Rulebook(self.model.tokenizer)

    def generate(
        self,
        prefix: str,
        contexts: Sequence[str],
        max_new_tokens: int = 256,
        constraint: Constraint | None = None,
        sentences: Sequence[str] = (),
        sampling: Sampling = GREEDY,
        stops: Stops = Stops(),
    ) -> list[Generated]:
        """The answers to `contexts`, each read after `prefix`, in order.

        An answer ends with the end token or by `stops` ("stop"), after `max_new_tokens` or at the model's last position
        ("length"). With a `constraint` it is one that the constraint allows, what it quotes being of the context's
        own of `sentences`; one that ends by "length" is the beginning of such an answer. Raises `ContextTooLongError`
        where there is no room for an answer, and `UsageError` for stops and sampling that cannot be.
        """
        prefix_ids, contexts_ids = encode_below(self.model.tokenizer, prefix, contexts)
        rules = self._rulebook.rows(constraint, sentences) if constraint and sentences else None
        return self.generate_ids(prefix_ids, contexts_ids, max_new_tokens, rules, sampling, stops)

    def generate_ids(
        self,
        prefix_ids: Sequence[int],
        contexts_ids: Sequence[Sequence[int]],
        max_new_tokens: int = 256,
        rules: Rows | None = None,
        sampling: Sampling = GREEDY,
        stops: Stops = Stops(),
        numbers: Sequence[int] | None = None,
        teacher: Sequence[Sequence[int]] | None = None,
    ) -> list[Generated]:
        """As `generate`, from token ids; a context has at least one token, the prefix may have none.

        `numbers` are those of the requests, which draws depend on (default: their places). `teacher` has the ids of
        answers, which the model is made to write where they are allowed, so that random weights write what is real.
        """
        positions = self.model.config.max_positions
        room = positions - len(prefix_ids)
        if max_new_tokens < 1 or not all(contexts_ids):
            raise ValueError("an answer has at least one new token, and a context at least one")
        for index, ids in enumerate(contexts_ids):
            if len(ids) >= room:
                raise ContextTooLongError(index, len(prefix_ids), len(ids), positions)
        asked = _Asked(prefix_ids, contexts_ids, max_new_tokens, rules, sampling, stops, numbers, teacher)
        results: list[Generated | None] = [None] * len(contexts_ids)
        with contextlib.nullcontext() if self.model.mesh is None else jax.set_mesh(self.model.mesh):
            for width, chosen in self._queues(contexts_ids):
                for index, generated in _Run(self, asked, width, chosen).answers():
                    results[index] = generated
        return [result for result in results if result is not None]

    def _queues(self, contexts_ids: Sequence[Sequence[int]]) -> Iterator[tuple[int, list[int]]]:
        """(Width, places) of contexts that go through the slots together, the longest first."""
        by_width = defaultdict(list)
        for index, ids in enumerate(contexts_ids):
            by_width[bucket(len(ids), _SMALLEST_CONTEXT)].append(index)
        for width, places in sorted(by_width.items()):
            places.sort(key=lambda place: -len(contexts_ids[place]))
            most = _QUEUED * self.slots
            for first in range(0, len(places), most):
                yield width, places[first : first + most]

    def rows_for(self, contexts: int, tokens: int) -> int:
        """Slots for so many contexts, with caches of so many tokens: one, a few, or all; each number is compiled."""
        rows = next((rows for rows in (1, 8) if contexts <= rows < self.slots), self.slots)
        return min(rows, max(1, _CACHED_TOKENS // tokens))

    def width_for(self, rows: int) -> int:
        """Tokens that a slot of so many reads in a step, drafts included."""
        if self.width is not None:
            return self.width
        widest = _WIDEST_ON_CPU if jax.default_backend() == "cpu" else _WIDEST
        return max(2, min(widest, _STEP_TOKENS // rows))

    def read(self, prefix_ids: Sequence[int]) -> Prefix:
        """The prefix's keys and values, from the cache or computed."""
        return self.prefixes.get(
            tuple(prefix_ids), lambda: read_prefix(self.model.module, self.model.variables, prefix_ids)
        )


@dataclass(frozen=True)
class _Asked:
    """The arguments of `generate_ids`."""

    prefix_ids: Sequence[int]
    contexts_ids: Sequence[Sequence[int]]
    max_new_tokens: int
    rules: Rows | None
    sampling: Sampling
    stops: Stops
    numbers: Sequence[int] | None
    teacher: Sequence[Sequence[int]] | None

    def ends(self, model: Model) -> Ends:
        ids = [model.config.eos_id, *self.stops.ids]
        if not all(0 <= token < model.config.vocab_size for token in ids) or self.stops.min_tokens < 0:
            raise UsageError(
                "ids that end an answer must lie in the vocabulary, and min_tokens be zero or more."
            )
        ids += [model.config.eos_id] * (bucket(len(ids), _SMALLEST_STOPS) - len(ids))
        texts = stop_texts(self.stops.texts, model.tokenizer.token_bytes()) if self.stops.texts else None
        return Ends(jnp.asarray(np.array(ids, np.int32)), jnp.int32(self.stops.min_tokens), texts)


class _Run:
    """Some contexts of one call, of one width, moving through the slots."""

    def __init__(self, generator: Generator, asked: _Asked, width: int, chosen: Sequence[int]):
        self.generator, self.asked, self.width, self.chosen = generator, asked, width, chosen
        self.model = model = generator.model
        self.most = bucket(asked.max_new_tokens, _SMALLEST_ANSWER)
        rows = generator.rows_for(len(chosen), width + self.most)
        self.rule = None if asked.rules is None else asked.rules.rule
        self.engine = Engine(
            model.module,
            admitted=min(max(1, rows // 4), max(1, _ADMITTED_TOKENS // width)),
            width=1 if self.rule is None else generator.width_for(rows),
            raw=generator.raw_logprobs,
        )
        self.network = Network(
            model.variables,
            model.inverse_norms,
            generator.read(asked.prefix_ids),
            None if self.rule is None else self.rule.structure,
            asked.sampling.sampler(model.config.vocab_size),
            asked.ends(model),
        )
        self.queue = self._queue(rows if len(chosen) <= rows else max(len(chosen), _QUEUED * rows))
        tally = None if self.rule is None else self.rule.tally
        self.state = new_state(self.engine, self.network, self.queue, rows, self.most, tally)

    def _queue(self, size: int) -> Queue:
        asked, room = self.asked, self.model.config.max_positions - len(self.asked.prefix_ids)
        tokens_QC = np.zeros((size, self.width), np.int32)
        length_Q, limit_Q, number_Q = (np.ones(size, np.int32) for _ in range(3))
        teacher_QN = None
        if asked.teacher is not None:
            teacher_QN = np.full((size, self.most), self.model.config.eos_id, np.int32)
        for place, index in enumerate(self.chosen):
            ids = asked.contexts_ids[index]
            tokens_QC[place, : len(ids)] = ids
            length_Q[place] = len(ids)
            limit_Q[place] = min(asked.max_new_tokens, room - len(ids))
            number_Q[place] = index if asked.numbers is None else asked.numbers[index]
            if teacher_QN is not None and asked.teacher is not None:
                taught = asked.teacher[index][: self.most]
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

    def answers(self) -> Iterator[tuple[int, Generated]]:
        """(index, answer) of each context, as they become ready."""
        given = np.zeros(len(self.chosen), bool)
        while not given.all():
            self.state = run(
                self.engine, self.network, self.queue, self.state._replace(steps=jnp.int32(_STEPS))
            )
            if self.rule is not None and self.state.tally is not None:
                self.rule.tally = self.state.tally
            done = np.asarray(self.state.answers.done_Q)[: given.size]
            yield from self._collect(np.flatnonzero(done & ~given))
            given = done

    def _collect(self, places: np.ndarray) -> Iterator[tuple[int, Generated]]:
        answers = jax.device_get(self.state.answers)
        for place in places:
            count = int(answers.count_Q[place])
            ids = answers.ids_QN[place, :count].tolist()
            yield (
                self.chosen[place],
                Generated(
                    text=self._text(ids),
                    ids=tuple(ids),
                    finish_reason="stop" if answers.ended_Q[place] else "length",
                    logprobs=tuple(answers.logprob_QN[place, :count].tolist()),
                    raw_logprobs=None
                    if answers.raw_QN is None
                    else tuple(answers.raw_QN[place, :count].tolist()),
                    forwards=int(answers.forwards_Q[place]),
                    drafted=int(answers.drafted_Q[place]),
                    accepted=int(answers.accepted_Q[place]),
                ),
            )

    def _text(self, ids: Sequence[int]) -> str:
        text = self.model.tokenizer.decode(ids)
        places = [text.find(stop) for stop in self.asked.stops.texts]
        return text[: min((place for place in places if place >= 0), default=len(text))]
