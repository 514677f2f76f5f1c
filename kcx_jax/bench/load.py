"""`kcx bench load`: a checkpoint onto the devices, beside a plain read of the same files."""

import gc
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kcx_jax.bench.memory import AnonymousPeak
from kcx_jax.bench.report import Report, in_turn, machine
from kcx_jax.checkpoints import load_pretrained
from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.weights import open_weights

_BLOCK = 2**24  # bytes of one read


def bench_load(
    folder: str | Path, dtype: str | None, rounds: int, cold: bool, say: Callable[[str], None]
) -> Report:
    """Load `folder`, read its weight files plainly through one small buffer, and read them into memory and keep it, in
    turn. The last of them tells what the memory alone costs, which on virtual machines can be most of it.

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

    def kept() -> Mapping[str, float]:
        return _timed("read and kept", size, files, cold, say, lambda: _read_and_keep(files))

    found, plain_read, read_and_kept = in_turn(rounds, ours, plain, kept)
    settings = {
        "folder": str(folder),
        "bytes": size,
        "dtype": dtype or "as stored",
        "cold": cold,
        "rounds": rounds,
        **machine(),
    }
    ratio = found["megabytes_per_second"] / plain_read["megabytes_per_second"]
    return Report(settings, found, {"plain_read": plain_read, "read_and_kept": read_and_kept}, ratio)


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


def _read_and_keep(files: list[Path]) -> list[np.ndarray]:
    kept = []
    for file in files:
        content = np.empty(file.stat().st_size, np.uint8)
        left = content.data
        with open(file, "rb", buffering=0) as handle:
            while count := handle.readinto(left[:_BLOCK]):
                left = left[count:]
        kept.append(content)
    return kept


def _drop_from_cache(files: list[Path]) -> None:
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # only clean pages are dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
