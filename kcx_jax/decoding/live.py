"""`Live`: requests that come one by one, decoded together as they come."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kcx_jax.decoding.batch import NO_STOPS, Generated, Stops
from kcx_jax.decoding.generator import Generator
from kcx_jax.decoding.rules import Constraint
from kcx_jax.errors import KcxError
from kcx_jax.ops.sampling import GREEDY, Sampling


class QueueFullError(KcxError):
    """As many requests wait as may: `waiting` of them."""

    def __init__(self, waiting: int):
        super().__init__(f"{waiting} requests wait already, as many as may. Send it again later.")
        self.waiting = waiting


class LiveClosedError(KcxError):
    """The engine takes no requests: it was closed."""


class LiveFailedError(KcxError):
    """The device failed while the request was decoded, or before that for good."""


@dataclass(frozen=True)
class Wanted:
    """One request: an answer to `context`, read after `prefix`. See `Generator.generate`.

    `number` is what draws depend on, beside the seed.
    """

    prefix: str
    context: str
    max_new_tokens: int = 256
    constraint: Constraint | None = None
    sentence: str = ""
    sampling: Sampling = GREEDY
    stops: Stops = NO_STOPS
    number: int = 0


@dataclass(frozen=True)
class LiveFigures:
    """What an engine does now, and did since it began.

    Now: requests that wait (`queued`) and that are written (`live`), in so many `slots` of so many `groups`.
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
    """A request on its way. `future` gets the answer, `CancelledError`, or what went wrong."""

    def __init__(self) -> None:
        self.future: Future[Generated] = Future()

    def cancel(self) -> None:
        """Leave the request; its slot is free at the host's next turn. An answer that is there stays."""
        self.future.cancel()


class Live:
    """Decodes requests as they come, from any thread, on a thread of its own."""

    def __init__(self, generator: Generator, queue_limit: int = 1024):
        self.generator, self.queue_limit = generator, queue_limit

    def submit(self, wanted: Wanted, on_text: Callable[[str], None] | None = None) -> Ticket:
        """Take a request. `on_text` gets the whole text so far now and then, on the engine's thread.

        Raises at once `QueueFullError`, `LiveClosedError`, `LiveFailedError` where the engine is dead,
        `ContextTooLongError`, and `UsageError` for stops and sampling that cannot be. Takes seconds for a constraint
        that is new.
        """
        raise NotImplementedError

    def warm(self, examples: Iterable[Wanted], pin: bool = False) -> None:
        """Read the prefixes of these, and compile what requests like them take. Pinned prefixes are kept."""
        raise NotImplementedError

    def figures(self) -> LiveFigures:
        """What the engine does, and did."""
        raise NotImplementedError

    def close(self, drain_seconds: float = 0.0) -> None:
        """Take no more requests; finish those that were taken within so many seconds, and cancel the rest."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
