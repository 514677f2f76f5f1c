"""Ctrl-C and SIGTERM end a run between two steps, after a checkpoint; all its processes at the same one."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


class Interrupt:
    """Whether any process was told to stop, as all of them come to know after the same step.

    A process that stopped alone would leave the others waiting for it. So every step is followed by a vote: a sum over
    the devices, dispatched like the step itself and read after the next step's dispatch, so that no device waits.
    """

    def __init__(self, mesh: Mesh):
        self.requested = False  # of this process; its second signal acts at once
        self._devices = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        self._count = jax.jit(
            partial(jnp.sum, dtype=jnp.int32), out_shardings=NamedSharding(mesh, PartitionSpec())
        )
        self._vote: Any = None

    def vote(self, at_once: bool = False) -> bool:
        """Dispatch the vote of this step; whether that of the step before, or this one if `at_once`, says stop."""
        before = self._vote
        own = np.full(len(self._devices.addressable_devices), self.requested, np.int32)
        self._vote = self._count(jax.make_array_from_process_local_data(self._devices, own))
        counted = self._vote if at_once else before
        return counted is not None and bool(jax.device_get(counted))


@contextlib.contextmanager
def deferred_interrupt(mesh: Mesh) -> Iterator[Interrupt]:
    """Notes SIGINT and SIGTERM instead of raising. Signals are left alone outside the main thread."""
    interrupt = Interrupt(mesh)
    if threading.current_thread() is not threading.main_thread():
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
