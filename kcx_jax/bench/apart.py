"""Work in a process of its own, so that its memory and its time are its own."""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from kcx_jax.errors import KcxError

Result = TypeVar("Result")


def apart(work: Callable[..., Result], *arguments: object, **named: object) -> Result:
    """`work` called in a fresh process; `KcxError` where that ends before its work does."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(work, *arguments, **named).result()
        except BrokenProcessPool as error:
            raise KcxError(
                "a process of the measurement was killed, most likely for its memory: measure something smaller."
            ) from error


def peak_rss_bytes() -> int:
    """The most resident memory that this process ever had (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
