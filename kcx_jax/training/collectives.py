"""What devices send each other in a compiled step, read from its HLO."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

_COMPUTATION = re.compile(r"^(ENTRY )?%(\S+) \(")
_COLLECTIVE = re.compile(
    r" = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(-start)?\("
)
_CALLED = re.compile(r"(?:body|calls|to_apply)=%([\w.-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_ARRAY = re.compile(r"\b[a-z]+(\d+)\w*\[([\d,]*)\]")  # such as bf16[4,32]


@dataclass(frozen=True)
class Collective:
    """One kind of operation: how often a step runs it, and the bytes of all its results on each device."""

    kind: str
    count: int
    bytes: int


def collectives(hlo: str) -> list[Collective]:
    """The collectives of one run of a compiled module, in the order of the alphabet.

    What a loop runs counts as often as the loop turns, where the compiler knows that; else once.
    """
    computations, entry = _computations(hlo)
    found: dict[str, tuple[int, int]] = {}
    for kind, size, times in _run(computations, entry, 1):
        count, total = found.get(kind, (0, 0))
        found[kind] = count + times, total + size * times
    return [Collective(kind, *found[kind]) for kind in sorted(found)]


def _computations(hlo: str) -> tuple[dict[str, list[str]], str]:
    """The lines of each computation by its name, and the name of that which is run."""
    computations: dict[str, list[str]] = {}
    name = entry = ""
    for line in hlo.splitlines():
        if start := _COMPUTATION.match(line):
            name = start[2]
            computations[name] = []
            entry = name if start[1] else entry
        elif name:
            computations[name].append(line)
    return computations, entry


def _run(computations: dict[str, list[str]], name: str, times: int) -> Iterator[tuple[str, int, int]]:
    """Kind, bytes and number of runs of every collective that `name` comes to."""
    for line in computations.get(name, ()):
        if found := _COLLECTIVE.search(line):
            sizes = [_bytes(*array) for array in _ARRAY.findall(found[1])]
            if found[3] and found[2] != "all-reduce":  # the operands come back beside the results
                sizes = sizes[len(sizes) // 2 :]
            yield found[2], sum(sizes), times
        turns = _TRIPS.search(line)
        for called in _CALLED.findall(line):
            yield from _run(computations, called, times * (int(turns[1]) if turns else 1))


def _bytes(bits: str, shape: str) -> int:
    return prod(int(size) for size in shape.split(",") if size) * int(bits) // 8
