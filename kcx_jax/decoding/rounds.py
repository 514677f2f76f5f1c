"""Whose turn it is: groups of requests take turns on one device that has room for some of them.

A group is opened when there is room for its caches, and keeps them between its turns. Those that are open take turns,
one after the other. While others wait for room, a group that has had its share of turns takes no more requests,
finishes those in its slots, and gives its room to the one that waits longest; what of it still waits then waits behind
the others. So with at most M groups open, a share of S turns, and D turns that a group takes to finish what is in its
slots, a group with k before it has its first turn after at most (M + k) (S + D) + M turns of others, and an open one
every M turns.
"""

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar


class Group(Protocol):
    """What takes turns. `tokens`: of the caches that it has while it is open."""

    turns: int  # since it was opened; counted by who lets it have them
    leaves: bool  # takes no more requests, because others wait for its room

    @property
    def key(self) -> Hashable: ...
    @property
    def tokens(self) -> int: ...
    @property
    def has_waiting(self) -> bool: ...
    @property
    def is_busy(self) -> bool:
        """Whether there is something to do in a turn."""
        ...

    def close(self) -> None:
        """Give back what it has on the device. It is not busy."""
        ...


AnyGroup = TypeVar("AnyGroup", bound=Group)


class Rounds(Generic[AnyGroup]):
    """Groups, at most `most_open` of them open, with caches of at most `tokens` together; one is always let in."""

    def __init__(self, tokens: int, most_open: int, share: int):
        self._tokens, self._most_open, self._share = tokens, most_open, share
        self._groups: dict[Hashable, AnyGroup] = {}
        self._open: deque[AnyGroup] = deque()  # whose turn is next, first
        self._seeking: deque[AnyGroup] = deque()  # who waits longest, first

    def find(self, key: Hashable) -> AnyGroup | None:
        """The group of this key, if there is one."""
        return self._groups.get(key)

    def enter(self, group: AnyGroup) -> None:
        """Let a new group wait for room."""
        self._groups[group.key] = group
        self._seeking.append(group)

    def opened(self) -> Iterator[AnyGroup]:
        """The groups that are open."""
        return iter(self._open)

    def next(self) -> AnyGroup | None:
        """Whose turn it is now; None where nobody has anything to do."""
        self._make_room()
        for group in self._open:
            group.leaves = bool(self._seeking) and group.turns >= self._share
        self._make_room()  # some had nothing but what they take no more
        for _ in range(len(self._open)):
            group = self._open[0]
            self._open.rotate(-1)
            if group.is_busy:
                return group
        return None

    def clear(self) -> None:
        """Close and forget all groups."""
        for group in self._open:
            group.close()
        self._groups.clear()
        self._open.clear()
        self._seeking.clear()

    def _make_room(self) -> None:
        """Open those that wait for room, as long as there is some or somebody who is open has nothing to do."""
        for group in [each for each in self._seeking if not each.has_waiting]:  # all were cancelled
            self._seeking.remove(group)
            del self._groups[group.key]
        while self._seeking:
            if self._fits(self._seeking[0]):
                group = self._seeking.popleft()
                group.turns, group.leaves = 0, False
                self._open.append(group)
            elif (idle := next((each for each in self._open if not each.is_busy), None)) is not None:
                self._close(idle)
            else:
                return

    def _fits(self, group: AnyGroup) -> bool:
        taken = sum(each.tokens for each in self._open)
        return not self._open or (len(self._open) < self._most_open and taken + group.tokens <= self._tokens)

    def _close(self, group: AnyGroup) -> None:
        self._open.remove(group)
        group.close()
        if group.has_waiting:
            self._seeking.append(group)
        else:
            del self._groups[group.key]
