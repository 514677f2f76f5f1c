"""`Live`: requests that come one by one, from any thread, decoded together as they come.

One thread has the device. Requests that share a prefix, a constraint, sampling, stops and sizes are a group, and join
the batch of the group that is on the device. Groups take turns of a few steps (`rounds`); between two turns the host
takes what is done, lets requests in, and frees the slots of those that were cancelled.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache, partial
from types import TracebackType
from typing import NamedTuple, Self

import jax

from kcx_jax.decoding.batch import terms_of
from kcx_jax.decoding.buckets import bucket
from kcx_jax.decoding.generator import CACHED_TOKENS, Generator
from kcx_jax.decoding.live_group import Job, Kind, LiveGroup, scale_of
from kcx_jax.decoding.requests import (
    NO_STOPS,
    SMALLEST_ANSWER,
    Generated,
    Request,
    Stops,
    Terms,
    check_limit,
    check_number,
)
from kcx_jax.decoding.rounds import Rounds
from kcx_jax.decoding.rules import Constraint
from kcx_jax.decoding.texts import text_so_far
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.ops.sampling import GREEDY, Sampling
from kcx_jax.tokenizer.cut import encode_below

_STEPS = 16  # of the device in a turn
_SHARE = 8  # turns that a group has while others wait for its room
_MOST_OPEN = 8  # groups with caches on the device; each keeps a prefix, too
_KNOWN = 64  # kinds of requests whose terms are kept


class QueueFullError(KcxError):
    """As many requests wait as may: `waiting` of them."""

    def __init__(self, waiting: int):
        super().__init__(f"{waiting} requests wait already, as many as may. Send it again later.")
        self.waiting = waiting


class LiveClosedError(KcxError):
    """The engine takes no requests: it was closed."""

    def __init__(self) -> None:
        super().__init__("the engine is closed and takes no requests.")


class LiveFailedError(KcxError):
    """The device failed while the request was decoded, or before that for good."""


@dataclass(frozen=True)
class Wanted:
    """One request: an answer to `context`, read after `prefix`. See `Generator.generate`.

    Both are texts, or, where symbols stand in them that no text spells (a chat's markers), both are ids. `number` is
    what draws depend on, beside the seed. A constraint that looks into the `sentence` needs one.
    """

    prefix: str | tuple[int, ...]
    context: str | tuple[int, ...]
    max_new_tokens: int = 256
    constraint: Constraint | None = None
    sentence: str | None = None
    sampling: Sampling = GREEDY
    stops: Stops = NO_STOPS
    number: int = 0


@dataclass(frozen=True)
class LiveFigures:
    """What an engine does now, and did since it began.

    Now: requests that wait (`queued`) and that are written (`live`), in so many `slots` of so many `groups`, which keep
    theirs until others need the room.
    Since it began: requests `answered`, `cancelled`, and ended by an error (`errors`); `turns` of the host, `forwards`
    that wrote answers, their `tokens`, how many were `drafted` and how many of these `accepted`; tokens of prefixes
    that were read, and that were there already. `failed` says why the engine is dead; None while it is not.
    """

    queued: int
    live: int
    slots: int
    groups: int
    answered: int
    cancelled: int
    errors: int
    turns: int
    forwards: int
    tokens: int
    drafted: int
    accepted: int
    prefix_tokens_read: int
    prefix_tokens_reused: int
    failed: str | None


class Ticket:
    """A request on its way. `future` gets the answer, or what went wrong; one that is cancelled frees its slot."""

    def __init__(self) -> None:
        self.future: Future[Generated] = Future()

    def cancel(self) -> None:
        """Leave the request; its slot is free at the host's next turn. An answer that is there stays."""
        self.future.cancel()


class _Errand(NamedTuple):
    """A prefix to be read, and programs to be compiled, beside the turns."""

    group: LiveGroup
    request: Request
    pin: bool
    done: Future[None]


class Live:
    """Decodes requests as they come, on a thread of its own, until it is closed. The generator is its own until then.

    At most `queue_limit` requests wait for a slot.
    """

    def __init__(self, generator: Generator, queue_limit: int = 1024):
        if queue_limit < 1:
            raise UsageError(f"queue_limit must be at least 1, found {queue_limit}.")
        self.generator, self.queue_limit = generator, queue_limit
        self._rounds = Rounds[LiveGroup](CACHED_TOKENS, _MOST_OPEN, _SHARE)
        self._changed = threading.Condition()  # its lock is held by whoever reads or writes what follows
        self._under_way: dict[Future[Generated], tuple[LiveGroup, Job]] = {}
        self._errands: deque[_Errand] = deque()
        self._until: float | None = None  # when it is to end, once it is closed
        self._failed: str | None = None
        self._live = self._answered = self._cancelled = self._errors = self._turns = 0
        self._forwards = self._tokens = self._drafted = self._accepted = 0
        self._terms = lru_cache(maxsize=_KNOWN)(self._terms_of)
        self._thread = threading.Thread(target=self._serve, name="kcx-live", daemon=True)
        self._thread.start()

    def submit(self, wanted: Wanted, on_text: Callable[[str], None] | None = None) -> Ticket:
        """Take a request. `on_text` gets the whole text so far after turns that added to it, the last one before the
        ticket has the answer, on the engine's thread, which waits for it; what it raises ends its request.

        Raises at once `QueueFullError`, `LiveClosedError`, `LiveFailedError` where the engine is dead,
        `ContextTooLongError`, and `UsageError` for what cannot be. Takes seconds for a constraint that is new.
        """
        with self._changed:
            self._refuse()
        kind, request = self._read(wanted)
        terms = self._terms(kind)
        ticket = Ticket()
        job = Job(request, ticket.future, on_text)
        with self._changed:
            self._refuse()
            group = self._rounds.find(kind)
            if group is None:
                group = LiveGroup(self.generator, terms, kind)
                self._rounds.enter(group)
            group.waiting[job] = None
            self._under_way[job.future] = group, job
            self._changed.notify()
        job.future.add_done_callback(self._note)
        return ticket

    def warm(self, examples: Iterable[Wanted], pin: bool = False) -> None:
        """Read the prefixes of these, and compile what requests take that are like them in all but the text, and as
        long. Pinned prefixes are kept. Raises as `submit`, and what the device raises.
        """
        errands = []
        for wanted in examples:
            kind, request = self._read(wanted)
            group = LiveGroup(self.generator, self._terms(kind), kind)
            errands.append(_Errand(group, request, pin, Future()))
        with self._changed:
            self._refuse()
            self._errands += errands
            self._changed.notify()
        for errand in errands:
            errand.done.result()

    def figures(self) -> LiveFigures:
        """What the engine does, and did."""
        with self._changed:
            opened = list(self._rounds.opened())
            return LiveFigures(
                queued=self._queued,
                live=self._live,
                slots=sum(group.rows for group in opened),
                groups=len(opened),
                answered=self._answered,
                cancelled=self._cancelled,
                errors=self._errors,
                turns=self._turns,
                forwards=self._forwards,
                tokens=self._tokens,
                drafted=self._drafted,
                accepted=self._accepted,
                prefix_tokens_read=self.generator.prefixes.tokens_read,
                prefix_tokens_reused=self.generator.prefixes.tokens_reused,
                failed=self._failed,
            )

    def close(self, drain_seconds: float = 0.0) -> None:
        """Take no more requests; finish those that were taken within so many seconds, and cancel the rest."""
        with self._changed:
            if self._until is None:
                self._until = time.monotonic() + drain_seconds
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _queued(self) -> int:
        return len(self._under_way) - self._live

    def _refuse(self) -> None:
        """Raise if no request can be taken."""
        if self._failed is not None:
            raise LiveFailedError(f"the engine is dead: {self._failed}. Restart it.")
        if self._until is not None:
            raise LiveClosedError
        if self._queued >= self.queue_limit:
            raise QueueFullError(self._queued)

    def _read(self, wanted: Wanted) -> tuple[Kind, Request]:
        """What a request is, as ids and tables. Raises as `submit`."""
        check_limit(wanted.max_new_tokens)
        check_number(wanted.number)
        prefix_ids, context_ids = self._ids(wanted)
        limit = min(wanted.max_new_tokens, self.generator.room(len(prefix_ids), len(context_ids)))
        own = None
        if wanted.constraint is not None:
            if wanted.sentence is None and wanted.constraint.level == "schema+span":
                raise UsageError(
                    "a constraint at the level schema+span needs the sentence that it looks into."
                )
            (own,) = self.generator.rulebook.rows(wanted.constraint, [wanted.sentence or ""]).own
        scale = scale_of(len(context_ids), own)
        most = bucket(limit, SMALLEST_ANSWER)
        kind = Kind(tuple(prefix_ids), wanted.constraint, wanted.sampling, wanted.stops, most, scale)
        return kind, Request(context_ids, limit, own, wanted.number)

    def _ids(self, wanted: Wanted) -> tuple[Sequence[int], Sequence[int]]:
        """Those of prefix and context."""
        prefix, context = wanted.prefix, wanted.context
        if isinstance(prefix, str) and isinstance(context, str):
            prefix_ids, (context_ids,) = encode_below(self.generator.model.tokenizer, prefix, [context])
            return prefix_ids, context_ids
        if isinstance(prefix, str) or isinstance(context, str):
            raise UsageError("prefix and context are both texts, or both ids.")
        self.generator.check_ids(prefix, context)
        return prefix, context

    def _terms_of(self, kind: Kind) -> Terms:
        rule = None if kind.constraint is None else self.generator.rulebook.rule(kind.constraint)
        return terms_of(self.generator.model, kind.prefix_ids, kind.limit, rule, kind.sampling, kind.stops)

    def _note(self, future: Future[Generated]) -> None:
        """A future is done: if that was its caller's wish, so is its request."""
        with self._changed:
            if not future.cancelled() or future not in self._under_way:
                return
            group, job = self._under_way[future]
            if job in group.waiting:
                del group.waiting[job]
                self._let_go(job)
            else:
                group.left.add(job)
                self._changed.notify()

    def _let_go(self, job: Job) -> bool:
        """Forget a job. Whether its future is to have a result now: neither has it one, nor was it cancelled."""
        if self._under_way.pop(job.future, None) is None:
            return False
        if job.future.set_running_or_notify_cancel():
            return True
        self._cancelled += 1
        return False

    def _serve(self) -> None:
        """The engine's thread."""
        try:
            with self.generator.on_mesh():
                while (work := self._next()) is not None:
                    work()
        except BaseException as error:
            self._end(f"{type(error).__name__}: {error}")
        else:
            self._end(None)

    def _next(self) -> Callable[[], None] | None:
        """What is to be done now; None once it is closed, and done or late."""
        with self._changed:
            while True:
                if self._errands:
                    return partial(self._warm, self._errands.popleft())
                group = self._rounds.next()
                if self._until is not None and (group is None or time.monotonic() >= self._until):
                    return None
                if group is not None:
                    return partial(self._turn, group)
                self._changed.wait()

    def _warm(self, errand: _Errand) -> None:
        prefix_ids, prefixes = errand.group.terms.prefix_ids, self.generator.prefixes
        try:
            (prefixes.pin if errand.pin else prefixes.get)(prefix_ids)
            errand.group.compile(errand.request)
            errand.done.set_result(None)
        except Exception as error:
            errand.done.set_exception(error)

    def _turn(self, group: LiveGroup) -> None:
        with self._changed:
            jobs, left = group.take()
            for job in left:
                self._let_go(job)
        before = group.forwards
        try:
            done = group.turn(jobs, left, _STEPS)
        except Exception as error:
            self._lose([*group.held, *jobs], group, error)
            return
        for job, answer in done:
            self._tell(group, job, answer.text)
        with self._changed:
            self._turns += 1
            group.turns += 1
            self._forwards += group.forwards - before
            done = [(job, answer) for job, answer in done if self._let_go(job)]
            for _, answer in done:
                self._answered += 1
                self._tokens += len(answer.ids)
                self._drafted += answer.drafted
                self._accepted += answer.accepted
            self._live = sum(each.live for each in self._rounds.opened())
        for job, answer in done:
            with _surviving_callbacks():
                job.future.set_result(answer)
        tokenizer, stops = self.generator.model.tokenizer, group.terms.stops
        for job, ids in group.written():
            if job.on_text is not None:
                self._tell(group, job, text_so_far(tokenizer, ids.tolist(), stops))

    def _tell(self, group: LiveGroup, job: Job, text: str) -> None:
        """Tell a caller what is written, if it is more than was told."""
        if job.on_text is None or job.future.cancelled() or text == job.text:
            return
        job.text = text
        try:
            job.on_text(text)
        except BaseException as error:  # the caller's own, a CancelledError too
            with self._changed:
                group.left.add(job)
                is_wanted = self._let_go(job)
                self._errors += is_wanted
            if is_wanted:
                with _surviving_callbacks():
                    job.future.set_exception(error)

    def _lose(self, jobs: Iterable[Job], group: LiveGroup, error: Exception) -> None:
        """The device failed: these get no answer, and others a new batch. Raises if it is dead."""
        with self._changed:
            group.close()
            self._live = sum(each.live for each in self._rounds.opened())
            lost = [job for job in jobs if self._let_go(job)]
            self._errors += len(lost)
        for job in lost:
            failed = LiveFailedError(f"the device failed while this was decoded: {error}. Send it again.")
            failed.__cause__ = error
            job.future.set_exception(failed)
        _prove_alive()

    def _end(self, failed: str | None) -> None:
        """Leave all that is under way: cancelled, or failed for this reason."""
        reason = LiveClosedError() if failed is None else LiveFailedError(f"the engine is dead: {failed}.")
        with self._changed:
            self._failed, self._live = failed, 0
            jobs, errands = [job for _, job in self._under_way.values()], [*self._errands]
            self._errands.clear()
            self._rounds.clear()
        for errand in errands:
            errand.done.set_exception(reason)
        for job in jobs:
            if failed is None:
                job.future.cancel()
            with self._changed:
                is_wanted = self._let_go(job)
                self._errors += is_wanted
            if is_wanted:
                job.future.set_exception(reason)


def _prove_alive() -> None:
    """Compute something on every device; raises what that raises."""
    for device in jax.local_devices():
        jax.block_until_ready(jax.device_put(1, device) + 1)


@contextlib.contextmanager
def _surviving_callbacks() -> Iterator[None]:
    """What a caller's own callback on a future raises is logged, as that of an ordinary error is, and ends nothing."""
    try:
        yield
    except BaseException:
        logging.getLogger(__name__).exception("a callback of an answer's future failed")
