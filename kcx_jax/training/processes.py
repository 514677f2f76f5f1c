"""Several processes as one run: how they find each other, and what one of them does for all."""

import os
from typing import Any

import jax
from jax.experimental import multihost_utils

from kcx_jax.errors import KcxError, UsageError

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"


def join_processes() -> None:
    """Make this process one of those of a run. To be called before anything else of JAX.

    Where the environment has `JAX_COORDINATOR_ADDRESS` (host:port of process 0), `JAX_NUM_PROCESSES` and
    `JAX_PROCESS_ID`, by these, with all GPUs of the machine; else as JAX finds out from Slurm or Open MPI, with one
    GPU a process. Raises `UsageError` where neither says enough, `KcxError` where the others are not to be reached.
    """
    given = {name: os.environ[name] for name in (ADDRESS, COUNT, INDEX) if name in os.environ}
    try:
        if COUNT in given or INDEX in given:
            count, index = _numbers(given)
            jax.distributed.initialize(given[ADDRESS], count, index, cluster_detection_method="deactivate")
        else:
            jax.distributed.initialize()
    except ValueError as error:
        raise UsageError(
            f"--distributed: nothing says which processes belong together ({error}) Start them with srun, or set "
            f"{ADDRESS}, {COUNT} and {INDEX}; for one process leave --distributed out."
        ) from error
    except RuntimeError as error:
        raise KcxError(f"--distributed: the processes did not find each other: {error}") from error


def speaks() -> bool:
    """Whether this process is the one that tells of the run and writes its files."""
    return jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Return when every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def whole(arrays: Any) -> Any:
    """The tree with every array whole in this process. All processes call it together."""
    return multihost_utils.process_allgather(arrays, tiled=True) if jax.process_count() > 1 else arrays


def _numbers(given: dict[str, str]) -> tuple[int, int]:
    """How many processes there are, and which one this is."""
    missing = [name for name in (ADDRESS, COUNT, INDEX) if name not in given]
    if missing:
        raise UsageError(f"{', '.join(given)} without {' and '.join(missing)}: set all three, or none.")
    numbers = [
        int(text) if text.isascii() and text.isdigit() else -1 for text in (given[COUNT], given[INDEX])
    ]
    host, _, port = given[ADDRESS].rpartition(":")
    if not (0 <= numbers[1] < numbers[0] and host and port.isascii() and port.isdigit()):
        values = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise UsageError(
            f"{values}: the address must be host:port, and the number of a process from 0 to their count less one."
        )
    return numbers[0], numbers[1]
