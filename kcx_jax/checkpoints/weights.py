"""The weight files of a checkpoint folder: one file, or shards with their index, in either format.

They are called `model.safetensors` and `model.safetensors.index.json`, or `pytorch_model.bin` and
`pytorch_model.bin.index.json`.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from kcx_jax.checkpoints.names import param_places
from kcx_jax.checkpoints.pickle_file import read_pickle
from kcx_jax.checkpoints.stored import StoredTensor
from kcx_jax.checkpoints.tensor_file import read_header
from kcx_jax.errors import KcxError
from kcx_jax.models import ModelConfig

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

Reader = Callable[[Path], dict[str, StoredTensor]]
_FORMATS: tuple[tuple[str, str, Reader], ...] = (  # the first that a folder has, as in transformers
    (SINGLE_FILE, INDEX_FILE, read_header),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", read_pickle),
)

# Computed from the config, yet saved by some programs.
_DERIVED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")
_HEAD, _TABLE = "lm_head.weight", "model.embed_tokens.weight"
_WHOLE_TENSOR = 2**16
_SAMPLES, _SAMPLE_BYTES = 16, 1024


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; `KcxError` naming the file when it is missing or something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise KcxError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise KcxError(f"{path}: expected a JSON object, found {type(content).__name__}.")
    return content


def open_weights(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of a model folder by name, opened but not read.

    Where both formats are there, safetensors is read. Raises `KcxError` when there are none, when index and
    shards disagree, or when a file is damaged.
    """
    for single, index, read in _FORMATS:
        if not (folder / single).exists() and not (folder / index).exists():
            continue
        if (folder / single).exists() and (folder / index).exists():
            raise KcxError(f"{folder} holds both {single} and {index}: remove the one that is stale.")
        whole = (folder / single).exists()
        tensors = read(folder / single) if whole else _open_shards(folder / index, read)
        return {name: tensor for name, tensor in tensors.items() if not _DERIVED.fullmatch(name)}
    raise KcxError(f"{folder} holds no weights: {_what_instead(folder)}")


def _what_instead(folder: Path) -> str:
    for single, index, _ in _FORMATS:
        suffix = Path(single).suffix
        if any(folder.glob(f"*{suffix}")):
            return f"its {suffix} files have neither the name {single} nor an index {index}."
    return f"none of {', '.join(name for single, index, _ in _FORMATS for name in (single, index))} is there."


def _open_shards(index: Path, read: Reader) -> dict[str, StoredTensor]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise KcxError(f"{index}: expected a weight_map from tensor names to file names.")
    tensors: dict[str, StoredTensor] = {}
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file or "\\" in file or file in ("", ".", ".."):
            raise KcxError(f"{index} points outside its folder: {file!r} is not a plain file name.")
        for name, tensor in read(index.parent / file).items():
            if name in tensors:
                raise KcxError(f"tensor {name} is both in {tensors[name].file} and in {tensor.file}.")
            if weight_map.get(name) != file:
                listed = weight_map.get(name, "no file")
                raise KcxError(f"{index} puts tensor {name} in {listed}, found in {tensor.file}.")
            tensors[name] = tensor
    for name in weight_map:
        if name not in tensors:
            raise KcxError(f"{index} puts tensor {name} in {weight_map[name]}, where it is not found.")
    return tensors


def open_model(folder: Path, config: ModelConfig) -> dict[str, StoredTensor]:
    """The tensors of a model folder, exactly those that `config` asks for.

    Raises `KcxError` as `open_weights` does, and for any that is missing, unexpected or of another shape.
    """
    tensors = open_weights(folder)
    if config.tied_head and (head := tensors.pop(_HEAD, None)) is not None:  # some programs save it once more
        table = tensors.get(_TABLE)
        if table is not None and not np.array_equal(head.open(), table.open()):
            raise KcxError(
                f"{folder}: its config ties the head to the embeddings, but {_HEAD} differs from {_TABLE}. "
                "Set tie_word_embeddings to false in config.json if the head has weights of its own."
            )
    check_tensors(tensors, {name: place.shape for name, place in param_places(config).items()}, folder)
    return tensors


def check_tensors(
    tensors: Mapping[str, StoredTensor], expected: Mapping[str, tuple[int, ...]], where: Path
) -> None:
    """Raise `KcxError` unless `tensors` are exactly those `expected`, by name and shape."""
    absent = [name for name in expected if name not in tensors]
    faults = [f"tensor {name} is missing, expected {list(expected[name])}" for name in absent]
    for name, tensor in tensors.items():
        if name not in expected:
            faults.append(f"tensor {name} {list(tensor.shape)} in {tensor.file.name} is not expected")
        elif tensor.shape != expected[name]:
            wanted, found = list(expected[name]), list(tensor.shape)
            faults.append(f"tensor {name} in {tensor.file.name}: expected {wanted}, found {found}")
    if faults:
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise KcxError(f"{where} does not fit its config: {shown}.")


def fingerprint(config: ModelConfig, tensors: Mapping[str, StoredTensor]) -> dict[str, str]:
    """What tells one base from another: digests of the config, of the tensors' names, shapes and dtypes, and
    of sampled bytes of their values. The same however the tensors are spread over files.
    """
    described = [[name, str(tensors[name].dtype), tensors[name].shape] for name in sorted(tensors)]
    values = hashlib.sha256()
    for name in sorted(tensors):
        values.update(_sampled(tensors[name]))
    return {
        "config": _digest(asdict(config)),
        "tensors": _digest(described),
        "values": values.hexdigest(),
    }


def _sampled(tensor: StoredTensor) -> bytes:
    """All bytes of a small tensor, some from all over a large one."""
    size = prod(tensor.shape) * tensor.dtype.itemsize
    if size <= _WHOLE_TENSOR or tensor.strides is not None:
        flat = np.ascontiguousarray(tensor.open()).tobytes()
        return flat if size <= _WHOLE_TENSOR else b"".join(flat[s : s + _SAMPLE_BYTES] for s in _starts(size))
    with tensor.file.open("rb", buffering=0) as handle:
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # nothing around a sample is read
        places = (tensor.offset + start for start in _starts(size))
        return b"".join(os.pread(handle.fileno(), _SAMPLE_BYTES, place) for place in places)


def _starts(size: int) -> range:
    """Where samples of `size` bytes begin."""
    stride = (size - _SAMPLE_BYTES) // (_SAMPLES - 1)
    return range(0, _SAMPLES * stride, stride)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
