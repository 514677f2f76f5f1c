"""What a tuning step sends between devices: compiled for any mesh without an array, and read from the program.

To be run where JAX has so many devices, fake ones do. Nothing is computed but the compiler's text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from kcx_jax.data import Shape, TreeBatch
from kcx_jax.errors import KcxError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import (
    ModelConfig,
    Transformer,
    abstract_lora,
    abstract_params,
    batch_sharding,
    lora_shardings,
    make_mesh,
    param_shardings,
)
from kcx_jax.training.step import abstract_state, make_step

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_LINE = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(?:-start)?\((.*)")
_ARRAY = re.compile(r"([a-z]+\d+[a-z0-9]*|pred)\[([\d,]*)\]")
_HEADER = re.compile(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_BODY = re.compile(r" while\(.*body=%?([\w.\-]+)")
_TURNS = re.compile(r"known_trip_count\D*(\d+)")
_BITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Traffic:
    """Of one device in one step: collectives, and bytes it sends in them by a ring, counted by kind."""

    count: Mapping[str, float]
    sent: Mapping[str, float]

    @property
    def calls(self) -> float:
        return sum(self.count.values())

    @property
    def bytes(self) -> float:
        return sum(self.sent.values())


@dataclass(frozen=True)
class Layout:
    """Devices along each axis of the mesh."""

    data: int = 1
    fsdp: int = 1
    tensor: int = 1


def step_traffic(
    config: ModelConfig,
    lora: LoraConfig,
    layout: Layout,
    shape: Shape,
    rows_per_shard: int,
    dtype: str = "bfloat16",
) -> Traffic:
    """The traffic of a LoRA step with `rows_per_shard` trees of `shape` in each shard of the batch."""
    return read_traffic(_compiled(config, lora, layout, shape, rows_per_shard, dtype))


def read_traffic(program: str) -> Traffic:
    """The collectives in the text of a compiled program; those of a loop as often as it turns.

    Raises `KcxError` for one in a loop of unknown length.
    """
    loops = _loops(program)

    def times(computation: str) -> int:
        if computation not in loops:
            return 1
        outer, turns = loops[computation]
        if turns is None:
            raise KcxError(f"the program sends in {computation}, a loop whose length it does not tell.")
        return turns * times(outer)

    count, sent = dict.fromkeys(KINDS, 0.0), dict.fromkeys(KINDS, 0.0)
    for computation, line in _lines(program):
        if found := _LINE.search(line):
            arrays, kind, rest = found.groups()
            group = _group(rest)
            if group > 1:
                count[kind] += times(computation)
                size = sum(map(_bytes, _ARRAY.findall(arrays)))
                sent[kind] += times(computation) * _sent(kind, size, group)
    return Traffic(count, sent)


def _lines(program: str) -> Iterator[tuple[str, str]]:
    """Every line with the computation that it is of."""
    computation = ""
    for line in program.splitlines():
        if header := _HEADER.match(line):
            computation = header[1]
        yield computation, line


def _loops(program: str) -> dict[str, tuple[str, int | None]]:
    """The body of each loop: the computation that the loop is in, and how often it turns."""
    found = {}
    for computation, line in _lines(program):
        if body := _BODY.search(line):
            turns = _TURNS.search(line)
            found[body[1]] = computation, int(turns[1]) if turns else None
    return found


def _compiled(
    config: ModelConfig, lora: LoraConfig, layout: Layout, shape: Shape, rows_per_shard: int, dtype: str
) -> str:
    mesh = make_mesh(data=layout.data, fsdp=layout.fsdp, tensor=layout.tensor)
    trained = _placed(abstract_lora(config, lora), lora_shardings(config, lora, mesh))
    frozen = _placed(abstract_params(config, dtype), param_shardings(config, mesh))
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-4))
    state = abstract_state(trained, optimiser, mesh)
    module = Transformer(config, lora, jnp.dtype(dtype))
    step = make_step(module, optimiser, "lora", state, attention="xla")
    batch = _batch(shape, rows_per_shard * layout.data * layout.fsdp, mesh)
    with jax.set_mesh(mesh):
        text = step.lower(state, {"params": frozen}, batch).compile().as_text()
    assert text is not None  # CPUs and GPUs both have it
    return text


def _placed(values: Any, places: Any) -> Any:
    return jax.tree.map(
        lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), values, places
    )


def _batch(shape: Shape, rows: int, mesh: Mesh) -> TreeBatch:
    P, K, L, T, M = shape
    sizes = TreeBatch((T,), (T,), (P,), (), (K, L), (K,), (T,), (M,), (M,), (M,))
    where = batch_sharding(mesh)
    return TreeBatch(*(jax.ShapeDtypeStruct((rows, *size), jnp.int32, sharding=where) for size in sizes))


def _group(rest: str) -> int:
    """How many devices take part in one collective together; `KcxError` where the text says it in an unknown way."""
    if iota := re.search(r"replica_groups=\[\d+,(\d+)\]", rest):
        return int(iota[1])
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return len(listed[1].split(","))
    if by_axis := re.search(r"replica_groups=mesh\[(.*?)\] \{((?:'\w+',? ?)+)\}", rest):
        sizes = dict(re.findall(r"('\w+')=(\d+)", by_axis[1]))
        return prod(int(sizes[axis]) for axis in re.findall(r"'\w+'", by_axis[2]))
    if "source_target_pairs={{" in rest:
        return 2
    raise KcxError(f"cannot read from the program which devices send: {rest[:200]}")


def _bytes(array: tuple[str, str]) -> int:
    kind, sizes = array
    bits = _BITS.search(kind)
    return prod(int(size) for size in sizes.split(",") if size) * (int(bits[0]) // 8 if bits else 1)


def _sent(kind: str, result: int, group: int) -> float:
    """Bytes that a device sends, by the size of the result on it."""
    others = (group - 1) / group
    return {
        "all-reduce": 2 * others * result,
        "all-gather": others * result,
        "reduce-scatter": (group - 1) * result,
        "all-to-all": others * result,
        "collective-permute": result,
    }[kind]
