"""`Generator`: many contexts after one shared prefix -> answers, in the caller's order.

The schema is read once and kept; contexts of like length make a queue, and move into slots as these become free, so
that one long answer does not hold up a batch.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from numbers import Integral
from typing import Any

import jax

from kcx_jax.decoding.batch import (
    Batch,
    Model,
    Shape,
    best_answers,
    engine_of,
    network_of,
    terms_of,
    variables_of,
)
from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.prefixes import PrefixCache, read_prefix
from kcx_jax.decoding.requests import NO_STOPS, Generated, Request, Stops, Terms, check_limit, check_number
from kcx_jax.decoding.rules import Constraint, Rows, Rulebook, room_of
from kcx_jax.decoding.state import Engine, Network
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.ops.sampling import GREEDY, Sampling
from kcx_jax.tokenizer.cut import encode_below

# Contexts go together by powers of two from 128 tokens on, because each width is compiled; in less where all are short.
_SHORT, _NARROWEST = 128, 32
_SHORT_READS = 32, 48, 64, 96, 128
CACHED_TOKENS = 65_536  # fewer slots where contexts are long: slots * (context + answer) stays below this
_QUEUED = 16  # contexts in the queue for each slot
_STEP_TOKENS = 256  # read by all slots in a step, at most: beyond that a GPU takes longer for more
_WIDEST = 8
_MOST_LINES = 4  # of drafts that a slot tries at once, where slots are few enough
_MOST_LINES_ON_CPU = 1


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
    how many tokens a slot reads in a step where answers are constrained, drafts included (1: no drafts), and `lines`
    how many lines of drafts it tries at once; None: by the number of slots. `raw_logprobs` asks for log-probabilities
    among all tokens, for which the whole head is computed.

    Every width, number of rows and piece of a prefix rounds in its own way, so that in bfloat16 one of two nearly equal
    tokens may be taken here and the other there. `deterministic` pins them all: an answer does not depend on what was
    decoded before or is decoded beside it. It costs what is saved by small batches, common prefixes and partial heads.
    """

    def __init__(
        self,
        model: Model,
        slots: int = 64,
        prefix_bytes: int = 2 << 30,
        width: int | None = None,
        lines: int | None = None,
        raw_logprobs: bool = False,
        deterministic: bool = False,
    ):
        for name, value in (("slots", slots), ("width", width), ("lines", lines)):
            if value is not None and (not isinstance(value, Integral) or value < 1):
                raise UsageError(f"{name} of a generator must be a whole number from 1 on, found {value!r}.")
        self.model, self.deterministic = model, deterministic
        self.slots, self.width, self.lines = slots, width, lines
        self.raw_logprobs = raw_logprobs or deterministic
        read = partial(read_prefix, model.module, model.variables)
        self.prefixes = PrefixCache(prefix_bytes, read, shares=not deterministic)

    @cached_property
    def rulebook(self) -> Rulebook:
        return Rulebook(self.model.tokenizer)

    def generate(
        self,
        prefix: str,
        contexts: Sequence[str],
        max_new_tokens: int = 256,
        constraint: Constraint | None = None,
        sentences: Sequence[str] = (),
        sampling: Sampling = GREEDY,
        stops: Stops = NO_STOPS,
    ) -> list[Generated]:
        """The answers to `contexts`, each read after `prefix`, in order.

        An answer ends with an end token of the model or by `stops` ("stop"), after `max_new_tokens` or at the model's
        last position ("length"). With a `constraint` it is one that the constraint allows, what it quotes being of the
        context's own of `sentences`; one that ends by "length" is the beginning of such an answer.

        Raises `ContextTooLongError` where there is no room for an answer, and `UsageError` for stops and sampling that
        cannot be, an empty context, and a constraint without as many sentences as contexts.
        """
        prefix_ids, contexts_ids, rules = self._encoded(prefix, contexts, constraint, sentences)
        return self.generate_ids(prefix_ids, contexts_ids, max_new_tokens, rules, sampling, stops)

    def generate_ids(
        self,
        prefix_ids: Sequence[int],
        contexts_ids: Sequence[Sequence[int]],
        max_new_tokens: int = 256,
        rules: Rows | None = None,
        sampling: Sampling = GREEDY,
        stops: Stops = NO_STOPS,
        numbers: Sequence[int] | None = None,
        teacher: Sequence[Sequence[int]] | None = None,
    ) -> list[Generated]:
        """As `generate`, from token ids; a context has at least one token, the prefix may have none.

        `numbers` are those of the requests, which draws depend on (default: their places). `teacher` has the ids of
        answers, which the model is made to write where they are allowed, so that random weights write what is real.
        Raises `UsageError` also for ids outside the vocabulary, and for other than one of these for each context.
        """
        requests = self._requests(prefix_ids, contexts_ids, max_new_tokens, rules, numbers, teacher)
        rule = None if rules is None else rules.rule
        results: dict[int, Generated] = {}
        with self.on_mesh():
            limit = self._limit(prefix_ids, max_new_tokens)
            terms = terms_of(self.model, prefix_ids, limit, rule, sampling, stops)
            for network, chosen, shape, engine in self._batches(terms, requests):
                some = [(place, requests[place]) for place in chosen]
                batch = Batch(self.model, network, terms, some, shape, engine, engine.width)
                results.update(batch.answers())
        return [results[place] for place in range(len(contexts_ids))]

    def warm(self, prefixes: Sequence[str], pin: bool = False) -> None:
        """Read prefixes before they are needed; pinned ones are kept until `unpin`."""
        with self.on_mesh():
            for prefix in prefixes:
                ids = self.model.tokenizer.encode(prefix)
                (self.prefixes.pin if pin else self.prefixes.get)(ids)

    def unpin(self, prefix: str) -> None:
        """Let a pinned prefix give way to others again."""
        self.prefixes.unpin(self.model.tokenizer.encode(prefix))

    def n_best(
        self,
        prefix: str,
        contexts: Sequence[str],
        count: int,
        max_new_tokens: int = 256,
        constraint: Constraint | None = None,
        sentences: Sequence[str] = (),
        sampling: Sampling = GREEDY,
        stops: Stops = NO_STOPS,
    ) -> list[list[Generated]]:
        """`count` answers to each context, the likeliest first: draws, or, where `sampling` draws nothing, those that a
        beam search of this width finds: they read differently, and may be fewer.

        As `generate` otherwise; beams have no `raw_logprobs`. A draw's number is the context's place times `count`, and
        its own. Raises `UsageError` for a count below 1, and for penalties and stop texts without draws.
        """
        if not isinstance(count, Integral) or count < 1:
            raise UsageError(f"count must be a whole number from 1 on, found {count!r}.")
        prefix_ids, contexts_ids, rules = self._encoded(prefix, contexts, constraint, sentences)
        if sampling.temperature > 0:
            return self._drawn(prefix_ids, contexts_ids, count, max_new_tokens, rules, sampling, stops)
        if sampling.changes_scores:
            raise UsageError(
                "a beam search has no penalties and no bias: leave them out, or draw (temperature)."
            )
        if stops.texts:
            raise UsageError(
                "a beam search has no stop texts: give ids that end an answer, or draw (temperature)."
            )
        requests = self._requests(prefix_ids, contexts_ids, max_new_tokens, rules)
        rule = None if rules is None else rules.rule
        results: dict[int, list[Generated]] = {}
        with self.on_mesh():
            limit = self._limit(prefix_ids, max_new_tokens)
            terms = terms_of(self.model, prefix_ids, limit, rule, sampling, stops)
            for network, chosen, shape, engine in self._batches(terms, requests, count, queues=False):
                some = [requests[place] for place in chosen]
                found = best_answers(self.model, network, terms, some, shape, engine, count)
                results.update(zip(chosen, found, strict=True))
        return [results[place] for place in range(len(contexts_ids))]

    def _drawn(
        self,
        prefix_ids: Sequence[int],
        contexts_ids: Sequence[Sequence[int]],
        count: int,
        max_new_tokens: int,
        rules: Rows | None,
        sampling: Sampling,
        stops: Stops,
    ) -> list[list[Generated]]:
        many = [ids for ids in contexts_ids for _ in range(count)]
        if rules is not None:
            rules = Rows(rules.rule, [own for own in rules.own for _ in range(count)])
        try:
            drawn = self.generate_ids(prefix_ids, many, max_new_tokens, rules, sampling, stops)
        except ContextTooLongError as error:
            place = error.index // count
            raise ContextTooLongError(place, error.prefix, error.context, error.positions) from None
        groups = [drawn[first : first + count] for first in range(0, len(drawn), count)]
        return [sorted(group, key=lambda each: -each.total) for group in groups]

    def _limit(self, prefix_ids: Sequence[int], max_new_tokens: int) -> int:
        """The most tokens that any answer behind a prefix may have: no cache need hold more."""
        return max(1, min(max_new_tokens, self.model.config.max_positions - len(prefix_ids) - 1))

    def _encoded(
        self, prefix: str, contexts: Sequence[str], constraint: Constraint | None, sentences: Sequence[str]
    ) -> tuple[list[int], list[list[int]], Rows | None]:
        """The ids of prefix and contexts, and the rules of their answers. `UsageError` for what is no list of texts."""
        for name, texts in (("contexts", contexts), ("sentences", sentences)):
            if isinstance(texts, str):
                raise UsageError(f"{name} must be a list of texts, found one text: write [{texts[:20]!r}].")
        contexts, sentences = list(contexts), list(sentences)
        prefix_ids, contexts_ids = encode_below(self.model.tokenizer, prefix, contexts)
        if constraint is None or not contexts:
            return prefix_ids, contexts_ids, None
        if len(sentences) != len(contexts):
            raise UsageError(
                f"a constraint needs the sentence of each of {len(contexts)} contexts, found {len(sentences)}."
            )
        return prefix_ids, contexts_ids, self.rulebook.rows(constraint, sentences)

    def _requests(
        self,
        prefix_ids: Sequence[int],
        contexts_ids: Sequence[Sequence[int]],
        max_new_tokens: int,
        rules: Rows | None,
        numbers: Sequence[int] | None = None,
        teacher: Sequence[Sequence[int]] | None = None,
    ) -> list[Request]:
        check_limit(max_new_tokens)
        own = None if rules is None else rules.own
        for name, given in (("rules", own), ("numbers", numbers), ("teacher", teacher)):
            if given is not None and len(given) != len(contexts_ids):
                raise UsageError(
                    f"{name} must be one for each of {len(contexts_ids)} contexts, found {len(given)}."
                )
        self.check_ids(prefix_ids, *contexts_ids, *(teacher or ()))
        for number in numbers or ():
            check_number(number)
        return [
            Request(
                ids,
                min(max_new_tokens, self.room(len(prefix_ids), len(ids), place)),
                None if own is None else own[place],
                place if numbers is None else numbers[place],
                None if teacher is None else teacher[place],
            )
            for place, ids in enumerate(contexts_ids)
        ]

    def check_ids(self, *texts: Iterable[int]) -> None:
        """Raise `UsageError` for ids of prefixes, contexts or answers that are none of the model's."""
        size = self.model.config.vocab_size
        found = next((token for ids in texts for token in ids if not 0 <= token < size), None)
        if found is not None:
            raise UsageError(
                f"ids lie in the vocabulary of {size}, found {found}. Encode texts with the model's own tokenizer."
            )

    def room(self, prefix: int, context: int, index: int = 0) -> int:
        """Tokens that an answer may have behind a prefix and a context of so many.

        Raises `ContextTooLongError`, and `UsageError` for an empty context; `index` is its place in the call.
        """
        if context < 1:
            raise UsageError(f"context {index} is empty: it has at least one character or id. Leave it out.")
        positions = self.model.config.max_positions
        if prefix + context >= positions:
            raise ContextTooLongError(index, prefix, context, positions)
        return positions - prefix - context

    def _batches(
        self, terms: Terms, requests: Sequence[Request], beams: int = 1, queues: bool = True
    ) -> Iterator[tuple[Network, list[int], Shape, Engine]]:
        """Places of requests that go through the slots together, and how: of like width, the longest first.

        `queues`: whether more of them than there are slots may go together, and wait for one.
        """
        lengths = [len(each.context_ids) for each in requests]
        by_width = defaultdict(list)
        for place, length in enumerate(lengths):
            by_width[bucket(length, _SHORT)].append(place)
        network = self.network(terms)
        for width, places in sorted(by_width.items()):
            places.sort(key=lambda place: -lengths[place])
            if not self.deterministic:
                width = bucket(lengths[places[0]], _NARROWEST)
            rows = self.rows(len(places), (width + terms.most) * beams)
            queued = _QUEUED * rows if queues else rows
            for first in range(0, len(places), queued):
                chosen = places[first : first + queued]
                own = [each for each in (requests[place].own for place in chosen) if each is not None]
                room = room_of(own) if own else None
                shape = Shape(rows if len(chosen) <= rows else queued, rows, width, room)
                yield network, chosen, shape, self.engine(terms, shape, beams)

    def network(self, terms: Terms) -> Network:
        """What answers on these terms are computed with; their prefix is read now if need be."""
        return network_of(self.model, self._variables, self.prefixes.get(terms.prefix_ids), terms)

    @cached_property
    def _variables(self) -> Any:
        return variables_of(self.model)

    def on_mesh(self) -> contextlib.AbstractContextManager:
        """Where the model's programs are to be run."""
        return contextlib.nullcontext() if self.model.mesh is None else jax.set_mesh(self.model.mesh)

    def rows(self, contexts: int, tokens: int) -> int:
        """Slots for so many contexts, with caches of so many tokens: one, a few, or all; each number is compiled."""
        few = () if self.deterministic else (1, 8)
        rows = next((rows for rows in few if contexts <= rows < self.slots), self.slots)
        return min(rows, max(1, CACHED_TOKENS // tokens))

    def step_width(self, rows: int) -> int:
        """Tokens that a slot of so many reads in a step, drafts included."""
        if self.width is not None:
            return self.width
        return max(2, min(_WIDEST, _STEP_TOKENS // rows))

    def engine(self, terms: Terms, shape: Shape, beams: int = 1) -> Engine:
        """How a batch of this shape is decoded."""
        rows, width = shape.rows, self.step_width(shape.rows)
        lines = self.lines
        if lines is None:
            most = _MOST_LINES_ON_CPU if jax.default_backend() == "cpu" else _MOST_LINES
            room = CACHED_TOKENS // (rows * (shape.width + terms.most))
            lines = max(1, min(most, room, self.slots // rows, _STEP_TOKENS // (rows * width)))
        lines = lines if beams == 1 else 1
        queues = shape.places > shape.rows  # few contexts are not worth the time to compile more
        reads = _reads(shape.width) if queues and not self.deterministic else (shape.width,)
        return engine_of(self.model, terms, shape, reads, width, lines, self.raw_logprobs)


def _reads(width: int) -> tuple[int, ...]:
    """In which widths contexts of a queue are read: powers of two and the middles between them."""
    if width > _SHORT:  # what is shorter than half of it has a narrower queue
        return width * 3 // 4, width
    return tuple(each for each in _SHORT_READS if each <= width)
