"""Turns of groups: nobody starves, room is kept, in whatever order requests come."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.decoding.rounds import Rounds

OPEN, SHARE, LONGEST = 3, 4, 5


@dataclass
class Fake:
    """A group whose requests take some turns each; two of them at a time."""

    key: int
    tokens: int = 1
    turns: int = 0
    leaves: bool = False
    waiting: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    answered: int = 0

    @property
    def has_waiting(self):
        return bool(self.waiting)

    @property
    def is_busy(self):
        return bool(self.slots) or (self.has_waiting and not self.leaves)

    def close(self):
        assert not self.slots, "what is begun is finished"

    def turn(self):
        while self.waiting and not self.leaves and len(self.slots) < 2:
            self.slots.append(self.waiting.pop(0))
        self.slots = [left - 1 for left in self.slots]
        self.answered += self.slots.count(0)
        self.slots = [left for left in self.slots if left]
        self.turns += 1


def _come(rounds, key, turns, tokens=1):
    group = rounds.find(key)
    if group is None:
        group = Fake(key, tokens)
        rounds.enter(group)
    group.waiting.append(turns)
    return group


coming = st.lists(
    st.lists(st.tuples(st.integers(0, 7), st.integers(1, LONGEST)), max_size=4), min_size=1, max_size=40
)


@given(coming, st.lists(st.integers(1, 6), min_size=8, max_size=8))
def test_every_group_has_its_turn_within_the_bound_and_there_is_room_for_all_that_are_open(arriving, sizes):
    """With k others before it: (M + k) (S + D) + M turns of others."""
    rounds, waits, group = Rounds(6, OPEN, SHARE), {}, None
    asked = answered = step = 0
    while step < len(arriving) or group is not None:
        for key, turns in arriving[step] if step < len(arriving) else ():
            known = rounds.find(key)
            others = sum(each != key for each in waits)
            if known is None or not (known.slots or known.waiting):
                waits[key] = (OPEN + others) * (SHARE + LONGEST) + OPEN
            _come(rounds, key, turns, sizes[key])
            asked += 1
        step += 1
        group = rounds.next()
        opened = list(rounds.opened())
        assert len(opened) <= OPEN
        assert sum(each.tokens for each in opened) <= 6
        if group is not None:
            assert group in opened
            before = group.answered
            group.turn()
            answered += group.answered - before
            waits.pop(group.key, None)
            waits = {key: left - 1 for key, left in waits.items()}
            assert all(left >= 0 for left in waits.values()), waits
    assert answered == asked
    assert not waits


def test_all_that_is_asked_is_answered_though_more_groups_want_room_than_there_is():
    rounds = Rounds(2, OPEN, SHARE)
    groups = [_come(rounds, key, 3) for key in range(6) for _ in range(20)]
    while (group := rounds.next()) is not None:
        group.turn()
    assert {group.key: group.answered for group in groups} == dict.fromkeys(range(6), 20)
    assert len(list(rounds.opened())) == 2, "those that have nothing to do keep their room until it is wanted"


def test_a_steady_stream_does_not_hold_up_the_others():
    """One schema always has more to do than it can; each of the others waits as long as the bound says, at most."""
    rounds = Rounds(100, 1, SHARE)
    _come(rounds, "stream", 1)
    for number in range(50):
        other = _come(rounds, number, LONGEST)
        turns = 0
        while not other.answered:
            for _ in range(3):
                _come(rounds, "stream", LONGEST)
            group = rounds.next()
            group.turn()
            turns += group is not other
            assert turns <= (1 + 1) * (SHARE + LONGEST) + 1


def test_a_group_that_is_alone_keeps_its_room():
    rounds = Rounds(1, OPEN, SHARE)
    group = _come(rounds, "alone", 1, tokens=5)  # more than there is: let in all the same
    for _ in range(100):
        _come(rounds, "alone", 1)
        assert rounds.next() is group
        assert not group.leaves
        group.turn()


def test_who_wants_nothing_any_more_is_forgotten():
    rounds = Rounds(1, 1, SHARE)
    first = _come(rounds, 0, 2)
    _come(rounds, 1, 1).waiting.clear()
    while (group := rounds.next()) is not None:
        assert group is first
        group.turn()
    assert rounds.find(1) is None
