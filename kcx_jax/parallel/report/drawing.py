"""A random sample of a stream: the same for the same seed, whatever the order, in memory of its size only."""

import hashlib
import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Drawing(Generic[T]):
    """At most `size` of the items that are offered, each as likely as any other."""

    def __init__(self, size: int, seed: int):
        self.size = size
        self._salt = str(seed).encode()
        self._heap: list[tuple[int, int, T]] = []  # the largest lot on top
        self._offered = 0

    def offer(self, name: str, item: T) -> None:
        """Let an item take part, under a name no other one has."""
        self._offered += 1  # breaks ties, so that items are never compared
        entry = (-self.lot(name), self._offered, item)
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, entry)
        elif self._heap and entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    def lot(self, name: str) -> int:
        """What a name draws: a number below 2 ** 64. The lowest win."""
        drawn = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=self._salt)
        return int.from_bytes(drawn.digest())

    def __iter__(self) -> Iterator[T]:
        """The winners, the lowest lot first."""
        return (item for _, _, item in sorted(self._heap, key=lambda entry: -entry[0]))

    def __len__(self) -> int:
        return len(self._heap)
