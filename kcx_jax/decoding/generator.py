"""`Generator`: many contexts after one shared prefix -> greedy answers, in the caller's order.

The schema is read once and kept; contexts wait in queues by their width and move into slots as these become
free, so that one long answer does not hold up a batch.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.prefixes import Prefix, PrefixCache
from kcx_jax.decoding.rules import Constraint, Rows, Rulebook
from kcx_jax.decoding.slots import admit, decode, empty_slots, read_prefix
from kcx_jax.errors import KcxError
from kcx_jax.models import ModelConfig, Transformer
from kcx_jax.tokenizer import Tokenizer
from kcx_jax.tokenizer.cut import encode_below

# Few sizes, because each one is compiled: powers of two from these on.
_SMALLEST_PREFIX = 256
_SMALLEST_CONTEXT = 64
_SMALLEST_ANSWER = 32
_ADMITTED_TOKENS = 8192  # contexts are read in groups of at most about so many tokens
_CACHED_TOKENS = 65_536  # fewer slots where contexts are long: slots * (context + answer) stays below this


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
class Generated:
    """One answer: its text, its ids without the end token, and the natural-log probability of each.

    `finish_reason` "length" means that the answer was cut off at the limit of new tokens.
    """

    text: str
    ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"]
    logprobs: tuple[float, ...]


class ContextTooLongError(KcxError):
    """Prefix and context leave no room for an answer. `index` is the context's place in the call."""

    def __init__(self, index: int, prefix: int, context: int, positions: int):
        super().__init__(
            f"context {index}: {context} tokens after a prefix of {prefix} leave no room for an answer "
            f"in the model's {positions} positions. Split the text, or use a smaller schema."
        )
        self.index, self.prefix, self.context, self.positions = index, prefix, context, positions


class Generator:
    """Greedy decoding with a model, many rows at a time.

    `slots` rows are decoded together (fewer for long contexts). `prefix_bytes` bounds the cache of prefixes.
    """

    def __init__(self, model: Model, slots: int = 64, prefix_bytes: int = 2 << 30):
        self.model = model
        self.slots = slots
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
    ) -> list[Generated]:
        """The answers to `contexts`, each read after `prefix`, in order.

        An answer ends with the end token ("stop"), after `max_new_tokens` or at the model's last position
        ("length"). With a `constraint` it is one that the constraint allows, what it quotes being of the context's
        own of `sentences`; one that ends by "length" is the beginning of such an answer. Raises `ContextTooLongError`
        where there is no room for an answer.
        """
        prefix_ids, contexts_ids = encode_below(self.model.tokenizer, prefix, contexts)
        rules = self._rulebook.rows(constraint, sentences) if constraint and sentences else None
        return self.generate_ids(prefix_ids, contexts_ids, max_new_tokens, rules)

    def generate_ids(
        self,
        prefix_ids: Sequence[int],
        contexts_ids: Sequence[Sequence[int]],
        max_new_tokens: int = 256,
        rules: Rows | None = None,
    ) -> list[Generated]:
        """As `generate`, from token ids; a context has at least one token, the prefix may have none."""
        positions = self.model.config.max_positions
        room = positions - len(prefix_ids)
        if max_new_tokens < 1 or not all(contexts_ids):
            raise ValueError("an answer has at least one new token, and a context at least one")
        for index, ids in enumerate(contexts_ids):
            if len(ids) >= room:
                raise ContextTooLongError(index, len(prefix_ids), len(ids), positions)
        results: list[Generated | None] = [None] * len(contexts_ids)
        queues = defaultdict(list)
        for index, ids in enumerate(contexts_ids):
            queues[bucket(len(ids), _SMALLEST_CONTEXT)].append(index)
        with contextlib.nullcontext() if self.model.mesh is None else jax.set_mesh(self.model.mesh):
            for width, queue in sorted(queues.items()):
                rows = self._rows(len(queue))
                run = _Run(self.model, self._read(prefix_ids), width, max_new_tokens, rows, rules)
                contexts = [(index, contexts_ids[index]) for index in queue]
                for index, generated in run.answers(contexts, room):
                    results[index] = generated
        return [result for result in results if result is not None]

    def _rows(self, contexts: int) -> int:
        """One slot, a few, or all: each number is compiled."""
        return next((rows for rows in (1, 8) if contexts <= rows < self.slots), self.slots)

    def _read(self, prefix_ids: Sequence[int]) -> Prefix:
        """The prefix's keys and values, from the cache or computed."""

        def compute() -> Prefix:
            tokens_P = np.zeros(bucket(len(prefix_ids), _SMALLEST_PREFIX), np.int32)
            tokens_P[: len(prefix_ids)] = prefix_ids
            length = jnp.int32(len(prefix_ids))
            return read_prefix(self.model.module, self.model.variables, jnp.asarray(tokens_P), length), length

        return self.prefixes.get(tuple(prefix_ids), compute)


class _Run:
    """One call's contexts of one width, moving through the slots."""

    def __init__(
        self,
        model: Model,
        prefix: Prefix,
        width: int,
        max_new_tokens: int,
        rows: int,
        rules: Rows | None,
    ):
        self.tokenizer = model.tokenizer
        self.rules = rules
        structure = None if rules is None else rules.structure
        self.network = (model.module, model.variables, model.inverse_norms, prefix, structure)
        self.width = width
        self.max_new_tokens = max_new_tokens
        new = bucket(max_new_tokens, _SMALLEST_ANSWER)
        self.size = min(rows, max(1, _CACHED_TOKENS // (width + new)))
        self.admitted = min(max(1, self.size // 4), max(1, _ADMITTED_TOKENS // width))
        none = None if rules is None else rules.none(self.size)
        self.slots = empty_slots(model.config, self.size, width, new, prefix[0].k.dtype, none)
        self.owner: list[int | None] = [None] * self.size  # the context in each slot

    def answers(
        self, contexts: Sequence[tuple[int, Sequence[int]]], room: int
    ) -> Iterator[tuple[int, Generated]]:
        """(index, answer) of each (index, context ids), as they become ready."""
        pending = iter(contexts)
        waiting = len(contexts)
        while waiting or any(owner is not None for owner in self.owner):
            group = min(self.admitted, waiting)
            while waiting and len(free := self._free()) >= group:
                self._admit([next(pending) for _ in range(group)], free, room)
                waiting -= group
                group = min(self.admitted, waiting)
            # With contexts waiting, go on until there is room for a whole group of them.
            floor = jnp.int32(self.size - group if waiting else 0)
            self.slots = decode(*self.network, self.slots, floor)
            yield from self._collect()

    def _free(self) -> list[int]:
        return [slot for slot, owner in enumerate(self.owner) if owner is None]

    def _admit(self, batch: Sequence[tuple[int, Sequence[int]]], free: Sequence[int], room: int) -> None:
        A = self.admitted
        tokens_AC = np.zeros((A, self.width), np.int32)
        length_A, limit_A = np.ones(A, np.int32), np.ones(A, np.int32)
        slot_A = np.full(A, self.size, np.int32)  # no slot
        for row, ((index, ids), slot) in enumerate(zip(batch, free, strict=False)):
            tokens_AC[row, : len(ids)] = ids
            length_A[row], slot_A[row] = len(ids), slot
            limit_A[row] = min(self.max_new_tokens, room - len(ids))
            self.owner[slot] = index
        arrays = (jnp.asarray(array) for array in (tokens_AC, length_A, limit_A, slot_A))
        rules_A = None if self.rules is None else self.rules.of([index for index, _ in batch], A)
        self.slots = admit(*self.network, self.slots, *arrays, rules_A)

    def _collect(self) -> Iterator[tuple[int, Generated]]:
        """The answers of slots that are no longer live; the slots become free."""
        s = self.slots
        ids_BN, logprobs_BN, count_B, live_B, ended_B = jax.device_get(
            (s.ids_BN, s.logprobs_BN, s.count_B, s.live_B, s.ended_B)
        )
        for slot, index in enumerate(self.owner):
            if index is None or live_B[slot]:
                continue
            ids = ids_BN[slot, : count_B[slot]].tolist()
            generated = Generated(
                text=self.tokenizer.decode(ids),
                ids=tuple(ids),
                finish_reason="stop" if ended_B[slot] else "length",
                logprobs=tuple(logprobs_BN[slot, : len(ids)].tolist()),
            )
            self.owner[slot] = None
            yield index, generated
