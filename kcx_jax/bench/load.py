"""`kcx bench load`: a checkpoint onto the devices, beside a plain read of the same files."""

import gc
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from kcx_jax.bench.memory import AnonymousPeak
from kcx_jax.bench.report import Report, in_turn, machine
from kcx_jax.checkpoints import load_pretrained
from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.weights import open_weights

_BLOCK = 2**24  # bytes of one read


def bench_load(
    folder: str | Path, dtype: str | None, rounds: int, cold: bool, say: Callable[[str], None]
) -> Report:
    """Load `folder` and read its weight files plainly, in turn.

    `cold` asks the system to drop the files from its page cache before each; otherwise they are read once at first,
    so that both find them there (as far as they fit). Headline: MB/s of the files' bytes.
    """
    path = local_folder(folder)
    files = sorted({tensor.file for tensor in open_weights(path).values()})
    size = sum(file.stat().st_size for file in files)
    if not cold:
        say(f"reading {size / 1e9:.1f} GB once, so that the page cache has them")
        _read_plainly(files)

    def ours() -> Mapping[str, float]:
        return _timed("loaded", size, files, cold, say, lambda: _loaded(path, dtype))

    def plain() -> Mapping[str, float]:
        return _timed("read plainly", size, files, cold, say, lambda: _read_plainly(files))

    found, peer = in_turn(rounds, ours, plain)
    settings = {
        "folder": str(folder),
        "bytes": size,
        "dtype": dtype or "as stored",
        "cold": cold,
        "rounds": rounds,
        **machine(),
    }
    return Report(
        settings, found, {"plain_read": peer}, found["megabytes_per_second"] / peer["megabytes_per_second"]
    )


def _loaded(path: Path, dtype: str | None) -> Any:
    model = load_pretrained(path, dtype=dtype)
    return jax.block_until_ready(model.params)


def _timed(
    what: str, size: int, files: list[Path], cold: bool, say: Callable[[str], None], work: Callable[[], Any]
) -> dict[str, float]:
    if cold:
        _drop_from_cache(files)
    gc.collect()
    start = time.perf_counter()
    with AnonymousPeak() as peak:
        held = work()
        seconds = time.perf_counter() - start
    del held
    gc.collect()
    speed = size / seconds / 1e6
    say(f"{what}: {seconds:.2f} s, {speed:,.0f} MB/s, peak {peak.bytes / 1e9:.2f} GB of anonymous memory")
    return {"seconds": seconds, "megabytes_per_second": speed, "peak_anonymous_bytes": peak.bytes}


def _read_plainly(files: list[Path]) -> None:
    block = memoryview(bytearray(_BLOCK))
    for file in files:
        with open(file, "rb", buffering=0) as handle:
            while handle.readinto(block):
                pass


def _drop_from_cache(files: list[Path]) -> None:
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # only clean pages are dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
