"""Writing a checkpoint folder: beside its place, checked, and then renamed into it."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kcx_jax.checkpoints.stored import StoredTensor
from kcx_jax.checkpoints.tensor_file import TensorSource, checksum, write_tensors
from kcx_jax.checkpoints.weights import INDEX_FILE, SINGLE_FILE
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object as Hugging Face folders have it: indented, non-ASCII as it is."""
    with atomic_write(path) as handle:
        handle.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def write_weights(
    folder: Path, tensors: Mapping[str, TensorSource], shard_size: int | str | None
) -> dict[str, int]:
    """Write `model.safetensors`, or shards of at most `shard_size` bytes with their index; returns checksums.

    A tensor larger than `shard_size` has a shard of its own; one file holds all without a size.
    """
    shards = divide(tensors, parse_size(shard_size))
    if len(shards) == 1:
        return write_tensors(folder / SINGLE_FILE, tensors)
    weight_map: dict[str, str] = {}
    checksums: dict[str, int] = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        checksums |= write_tensors(folder / file, {name: tensors[name] for name in names})
        weight_map |= dict.fromkeys(names, file)
    total = sum(source.nbytes for source in tensors.values())
    write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
    return checksums


def parse_size(size: int | str | None) -> int | None:
    """Bytes of a size like 2000000, "500MB" or "5GiB" (None: no limit); `UsageError` for anything else."""
    if size is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?i?B?)", str(size), re.IGNORECASE)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or float(match[1]) * unit < 1:
        raise UsageError(
            f"a shard size is a number of bytes, or one with KB, MB, GB or KiB, MiB, GiB; found {size!r}."
        )
    return int(float(match[1]) * unit)


def divide(tensors: Mapping[str, TensorSource], limit: int | None) -> list[list[str]]:
    """The tensors' names by shard, in order, each of at most `limit` bytes or of one tensor (None: all in one)."""
    shards: list[list[str]] = [[]]
    filled = 0
    for name, source in tensors.items():
        if limit is not None and shards[-1] and filled + source.nbytes > limit:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += source.nbytes
    return shards


def verify(
    stored: Mapping[str, StoredTensor],
    checksums: Mapping[str, int],
    folder: Path,
    told: Callable[[int], None] = lambda nbytes: None,
) -> None:
    """Read back every tensor that was written, `told` the bytes of each; `KcxError` where they are others now."""
    found = {}
    for name, tensor in stored.items():
        array = tensor.open()
        found[name] = checksum(array)
        told(array.nbytes)
    changed = sorted(name for name in {*found, *checksums} if found.get(name) != checksums.get(name))
    if changed:
        raise KcxError(f"{folder}: tensor {changed[0]} reads back otherwise than written. Check the disk.")
