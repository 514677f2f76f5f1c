"""Ctrl-C and SIGTERM end a run between two steps, after a checkpoint."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import jax


@dataclass
class Interrupt:
    """`requested` becomes true at the first signal; the second one acts at once."""

    requested: bool = False


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Notes SIGINT and SIGTERM instead of raising. Signals are left alone outside the main thread, and in runs
    of several processes, which would stop at different steps and wait for each other for ever.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread() or jax.process_count() > 1:
        yield interrupt
        return

    def note(number: int, frame: object) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
