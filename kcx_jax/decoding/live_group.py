"""Live requests that can share a batch: those that wait on the host, and those on the device."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kcx_jax.decoding.batch import Batch, Shape
from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.generator import Generator
from kcx_jax.decoding.requests import Generated, Request, Stops, Terms
from kcx_jax.decoding.rules import Constraint, Own, Room, room_of
from kcx_jax.ops.sampling import Sampling

# Arrays of a batch are so many times these, in powers of two, because each size is compiled. A token has some four
# bytes.
_CONTEXT = 64
_ROOM = Room(positions=4 * _CONTEXT, edges=16 * _CONTEXT, mixed=_CONTEXT, unique=8 * _CONTEXT)
_PLACES = 8  # for each slot: as many contexts as it may read in a turn, and the one that it answers
_CALM_TURNS = (
    32  # with fewer requests before a batch gets fewer slots: it costs more than to keep them for a while
)


class Kind(NamedTuple):
    """What requests have in common that are decoded together."""

    prefix_ids: tuple[int, ...]
    constraint: Constraint | None
    sampling: Sampling
    stops: Stops
    limit: int  # bucket of new tokens
    scale: int  # of the arrays for contexts and sentences


def scale_of(context: int, own: Own | None) -> int:
    """By how much the arrays of a batch must be larger than the smallest ones, for a context of so many tokens."""
    times = [-(-context // _CONTEXT)]
    if own is not None:
        times += [-(-size // least) for size, least in zip(room_of([own]), _ROOM, strict=True)]
    return bucket(max(times))


@dataclass(eq=False)
class Job:
    """A request on its way; `text` is what its caller was told last."""

    request: Request
    future: Future[Generated]
    on_text: Callable[[str], None] | None
    text: str = ""


class LiveGroup:
    """Jobs of one kind. `waiting` on the host, the first first; `left` are those on the device that nobody wants.

    `take` and what changes `waiting` and `left` want the engine's lock; all else is the engine thread's alone.
    """

    def __init__(self, generator: Generator, terms: Terms, key: Kind):
        self.generator, self.terms, self.key = generator, terms, key
        self.waiting: OrderedDict[Job, None] = OrderedDict()
        self.left: set[Job] = set()
        self.turns, self.leaves = 0, False
        self._widest = generator.step_width(1)
        self._tokens = key.scale * _CONTEXT + terms.most + self._widest  # of a slot
        self._most_rows = generator.rows(generator.slots, self._tokens)
        self._batch: Batch[Job] | None = None
        self._calm = 0

    @property
    def tokens(self) -> int:
        """Those of its caches when it has all its slots."""
        return self._most_rows * self._tokens

    @property
    def has_waiting(self) -> bool:
        return bool(self.waiting)

    @property
    def is_busy(self) -> bool:
        return bool(self.held) or (self.has_waiting and not self.leaves)

    @property
    def held(self) -> list[Job]:
        """The jobs that are on the device."""
        return [] if self._batch is None else list(self._batch.held.values())

    @property
    def live(self) -> int:
        """How many of these are in slots."""
        return 0 if self._batch is None else self._batch.live

    @property
    def rows(self) -> int:
        """How many slots it has now."""
        return 0 if self._batch is None else self._batch.shape.rows

    @property
    def forwards(self) -> int:
        """Steps of the device since it was opened."""
        return 0 if self._batch is None else self._batch.forwards

    def take(self) -> tuple[list[Job], set[Job]]:
        """The jobs that go to the device in the next turn, and those there that are left.

        A group that leaves takes none, and back those that no slot has read.
        """
        left, self.left = self.left, set()
        if self.leaves:
            if self._batch is not None:
                unread = [self._batch.held[place] for place in self._batch.waiting]
                self._batch.leave(set(unread))
                for job in reversed(unread):
                    self.waiting[job] = None
                    self.waiting.move_to_end(job, last=False)
            for job in left:
                self.waiting.pop(job, None)
            return [], left
        free = _PLACES * self._most_rows if self._batch is None else self._batch.free
        return [self.waiting.popitem(last=False)[0] for _ in range(min(free, len(self.waiting)))], left

    def turn(self, jobs: Sequence[Job], left: set[Job], steps: int) -> list[tuple[Job, Generated]]:
        """Decode for at most so many steps, with what was taken; what became ready."""
        asked = [(job, job.request) for job in jobs]
        if self._batch is None:
            self._open(asked)
        else:
            if left:
                self._batch.leave(left)
            self._fit(len(asked))
            if asked:
                self._batch.add(asked)
        return self._batch.turn(steps) if self._batch is not None and self._batch.held else []

    def written(self) -> Iterator[tuple[Job, np.ndarray]]:
        """The ids so far of the jobs in slots."""
        return iter(()) if self._batch is None else self._batch.written()

    def close(self) -> None:
        self._batch = None

    def compile(self, request: Request) -> None:
        """Compile what turns of this group take, with any number of slots, by a few steps for this request."""
        numbers = sorted({self._rows(wanted) for wanted in range(1, self._most_rows + 1)})
        job = Job(request, Future(), None)
        self.turn([job], set(), 1)
        assert self._batch is not None
        for rows in [*numbers, *reversed(numbers)]:
            for other in numbers:
                self._batch.leave({job})
                self._resize(other)
                self._resize(rows)
                self._batch.add([(job, request)])
            self._batch.turn(1)
        self.close()

    def _open(self, asked: list[tuple[Job, Request]]) -> None:
        model, scale = self.generator.model, self.key.scale
        network = self.generator.network(self.terms)
        room = None if self.terms.rule is None else Room(*(scale * size for size in _ROOM))
        places, rows = _PLACES * self._most_rows, self._rows(len(asked))
        shape = Shape(places, rows, scale * _CONTEXT, room)
        engine = self.generator.engine(self.terms, shape)
        self._batch = Batch(model, network, self.terms, asked, shape, engine, self._widest)

    def _fit(self, more: int) -> None:
        """As many slots as requests need; fewer only after a while."""
        assert self._batch is not None
        rows = self._rows(len(self._batch.held) + more)
        self._calm = self._calm + 1 if rows < self.rows else 0
        if rows > self.rows or self._calm >= _CALM_TURNS:
            self._resize(rows)

    def _resize(self, rows: int) -> None:
        assert self._batch is not None
        self._calm = 0
        if rows != self.rows:
            shape = self._batch.shape._replace(rows=rows)
            self._batch.resize(rows, self.generator.engine(self.terms, shape))

    def _rows(self, requests: int) -> int:
        return self.generator.rows(max(1, requests), self._tokens)
