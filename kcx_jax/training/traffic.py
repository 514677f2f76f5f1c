"""What devices send each other in a compiled step, read from the text of its program (HLO)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_LINE = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\((.*)")
_ARRAY = re.compile(r"([a-z]+\d+[a-z0-9]*|pred)\[([\d,]*)\]")
_HEADER = re.compile(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_BODY = re.compile(r" while\(.*body=%?([\w.\-]+)")
_TURNS = re.compile(r"known_trip_count\D*(\d+)")
_BITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Traffic:
    """Of one device in one step: collectives, and bytes it sends in them by a ring, counted by kind.

    `exact` is false where the program does not tell how often a loop turns (it counts once) or which devices take part
    in a collective (all of them are taken to).
    """

    count: Mapping[str, int]
    sent: Mapping[str, float]
    exact: bool

    @property
    def calls(self) -> int:
        return sum(self.count.values())

    @property
    def bytes(self) -> float:
        return sum(self.sent.values())


def read_traffic(program: str, devices: int) -> Traffic:
    """The collectives of a program compiled for so many devices; those of a loop as often as it turns."""
    loops = _loops(program)
    exact = True

    def times(computation: str) -> int:
        nonlocal exact
        if computation not in loops:
            return 1
        outer, turns = loops[computation]
        exact = exact and turns is not None
        return (turns or 1) * times(outer)

    count, sent = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0.0)
    for computation, line in _lines(program):
        if found := _LINE.search(line):
            arrays, kind, started, rest = found.groups()
            group = _group(rest, devices)
            exact = exact and group is not None
            if group is None:
                group = devices
            if group > 1:
                sizes = [_bytes(*array) for array in _ARRAY.findall(arrays)]
                if started and kind != "all-reduce":  # the operands come back beside the results
                    sizes = sizes[len(sizes) // 2 :]
                count[kind] += times(computation)
                sent[kind] += times(computation) * _sent(kind, sum(sizes), group)
    return Traffic(count, sent, exact)


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


def _group(rest: str, devices: int) -> int | None:
    """How many devices take part in one collective together; None where the text says it in an unknown way."""
    if iota := re.search(r"replica_groups=\[\d+,(\d+)\]", rest):
        return int(iota[1])
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return len(listed[1].split(","))
    if by_axis := re.search(r"replica_groups=mesh\[(.*?)\](?:, device_ids=\S+)? \{((?:'\w+',? ?)+)\}", rest):
        sizes = dict(re.findall(r"('\w+')=(\d+)", by_axis[1]))
        return prod(int(sizes[axis]) for axis in re.findall(r"'\w+'", by_axis[2]))
    if "source_target_pairs={{" in rest:
        return 2
    return devices if "replica_groups={}" in rest else None


def _bytes(kind: str, sizes: str) -> int:
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
