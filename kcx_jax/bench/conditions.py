"""What a race needs: its peers installed; the same cores for every engine, and memory that is kept once it was had."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from kcx_jax.errors import UsageError

THREADS = 2
INTEROP = "Install it: pip install 'kcx-jax[model,interop]'"
# A page that is touched first can be dear on a virtual machine, and glibc gives large blocks back each time.
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


def refuse_missing(peer: str, modules: Sequence[str], how: str) -> None:
    """Raise `UsageError`, saying how to install them, where modules that a peer needs are absent."""
    if missing := [name for name in modules if find_spec(name) is None]:
        raise UsageError(f"measuring beside {peer} needs {' and '.join(missing)}. {how}")


@contextmanager
def alike() -> Iterator[None]:
    """Processes started inside run on the first `THREADS` cores of this one's, and glibc keeps memory they free."""
    cores, before = os.sched_getaffinity(0), {name: os.environ.get(name) for name in _MALLOC}
    os.environ |= _MALLOC
    os.sched_setaffinity(0, sorted(cores)[:THREADS])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def threads() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))
