"""Which sentences a page holds where it cannot hold all: every kind of error in turn, benchmarks in turn within it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kcx_jax.scoring.errors import KINDS

TRIES = 20  # sentences of a kind that are too long for the room left, before the kind is given up


@dataclass(frozen=True, slots=True)
class Entry:
    """A sentence: where its line begins in the file, its group (benchmark and task), and the kinds of its items.

    A sentence with any error counts for its errors alone. `lot` decides which of equals come first.
    """

    offset: int
    group: tuple[str, str]
    kinds: frozenset[str]
    lot: int

    @property
    def wrong(self) -> bool:
        """Whether any system has an error in it."""
        return bool(self.kinds - {"right"})


def lot(*names: str) -> int:
    """What names draw: a number below 2 ** 64, the same each time."""
    return int.from_bytes(
        hashlib.blake2b("\0".join(names).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    )


def chosen(entries: Sequence[Entry], room: int, make: Callable[[Entry], str]) -> list[tuple[Entry, str]]:
    """Sentences with what `make` makes of them, as many as have `room` (bytes of UTF-8), in the order of the file.

    The kinds take turns, so that each has a sentence as long as one of its first `TRIES` has room.
    """
    queues = {kind: _spread([each for each in entries if _counts_for(each, kind)]) for kind in KINDS}
    found: dict[int, tuple[Entry, str]] = {}
    misses: Counter[str] = Counter()
    while queues:
        for kind in list(queues):
            entry = next((each for each in queues[kind] if each.offset not in found), None)
            if entry is None or misses[kind] >= TRIES:
                del queues[kind]
                continue
            made = make(entry)
            size = len(made.encode("utf-8"))
            if size <= room:
                found[entry.offset] = entry, made
                room -= size
            else:
                misses[kind] += 1
    return [found[offset] for offset in sorted(found)]


def _counts_for(entry: Entry, kind: str) -> bool:
    return kind in entry.kinds if kind != "right" else not entry.wrong


def _spread(entries: Sequence[Entry]) -> Iterator[Entry]:
    """The entries so that groups take turns, those of a group by lot."""
    seen: Counter[tuple[str, str]] = Counter()
    placed: list[tuple[int, int, Entry]] = []
    for entry in sorted(entries, key=lambda each: each.lot):
        placed.append((seen[entry.group], len(placed), entry))
        seen[entry.group] += 1
    return (entry for _, _, entry in sorted(placed, key=lambda each: each[:2]))
