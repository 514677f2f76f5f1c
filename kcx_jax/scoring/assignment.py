"""One assignment of the items of an answer to places in the text, all items at once.

Answers list their items in the order of the text. So the best assignment runs forward; a step back is paid
for, not forbidden, because a model may lose the order once and go on from there. It is the cheapest path
through the items' candidate places (Viterbi), in time linear in the number of candidates. An item's
companions (a relation's tail, an event's arguments) take the places nearest to it that the order of the answer
allows, and their nearness helps to choose its own place.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from kcx_jax.scoring.places import Place, Places, gap

# Above this many candidates in one answer (one letter, asked for thousands of times), an item looks only at
# its share of them, beginning at its own repeat.
MAX_CANDIDATES = 200_000
# Losing the order, in the unit of `Place.rank` (1 to 7).
STEP_BACK = 8


@dataclass(frozen=True)
class Item:
    """An item of an answer: its class, the surface it hangs on, and its companions as (label, surface)."""

    label: str
    anchor: str
    companions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Found:
    """Where an item stands; None for a companion that is not in the text."""

    anchor: Place
    companions: tuple[Place | None, ...]


@dataclass(frozen=True)
class Habits:
    """How the items of a task behave.

    unique: equal items stand in different places, a surplus one in none. complete: an item is found with all
    its companions, apart from its own place, or not at all. stay: the cost of taking the place of the item
    before, in characters between an item and companions (in ranks where there are none).
    """

    unique: bool
    complete: bool
    stay: int


def assign(items: Sequence[Item], text: str, habits: Habits, ladder: bool = False) -> list[Found | None]:
    """Where each item stands in `text`, or None; parallel to `items`. `ladder`: also by looser forms (`places`)."""
    places = Places(text, {surface for item in items for surface in _surfaces(item)}, ladder)
    found: list[Found | None] = [None] * len(items)
    equals: dict[Item, _Equals] = {}
    hopeful = [i for i, item in enumerate(items) if _can_stand(item, places, habits)]
    anchors = _anchors([items[i] for i in hopeful], places, habits, len(text))
    likely = _companions_in_order([items[i] for i in hopeful], anchors, places, habits, len(text))
    for i, anchor, companions in zip(hopeful, anchors, likely, strict=True):
        if items[i] not in equals:
            equals[items[i]] = _Equals(items[i], places, habits)
        found[i] = equals[items[i]].settle(anchor, companions)
    return found


def _surfaces(item: Item) -> list[str]:
    return [item.anchor, *(surface for _, surface in item.companions)]


def _can_stand(item: Item, places: Places, habits: Habits) -> bool:
    needed = _surfaces(item) if habits.complete else [item.anchor]
    return all(places[surface].places for surface in needed)


def _anchors(items: Sequence[Item], places: Places, habits: Habits, length: int) -> list[Place]:
    """The places of the items' anchors along the cheapest path."""
    # One rank outweighs all the characters that may lie between items and their companions.
    unit = 1 + (length + 1) * sum(len(item.companions) for item in items)
    candidates = _candidates(items, places)
    costs = [
        [_cost(item, place, places, unit) for place in options]
        for item, options in zip(items, candidates, strict=True)
    ]
    stays = [0] + [
        STEP_BACK * unit if habits.unique and after == before else habits.stay
        for before, after in pairwise(items)
    ]
    path = cheapest_path(candidates, costs, stays, STEP_BACK * unit)
    return [options[j] for options, j in zip(candidates, path, strict=True)]


def _candidates(items: Sequence[Item], places: Places) -> list[Sequence[Place]]:
    options: list[Sequence[Place]] = [places[item.anchor].places for item in items]
    if sum(map(len, options)) <= MAX_CANDIDATES:
        return options
    share = max(1, MAX_CANDIDATES // len(items))
    seen: Counter[str] = Counter()
    for i, item in enumerate(items):
        first = min(seen[item.anchor], max(0, len(options[i]) - share))
        options[i] = options[i][first : first + share]
        seen[item.anchor] += 1
    return options


def _cost(item: Item, anchor: Place, places: Places, unit: int) -> int:
    cost = anchor.rank * unit
    for _, surface in item.companions:
        place = places[surface].nearest(anchor)
        if place is not None:
            cost += place.rank * unit + gap(place, anchor)
    return cost


def _companions_in_order(
    items: Sequence[Item], anchors: Sequence[Place], places: Places, habits: Habits, length: int
) -> list[list[Place | None]]:
    """The likely places of each item's companions: the nearest that the order of the answer allows.

    The companions of successive items at one place come in the order of the text, as do the fillers of a role.
    None for those that stand nowhere, and for all where there are too many places.
    """
    chosen: list[list[Place | None]] = [[None] * len(item.companions) for item in items]
    # What makes a run: the place of the items (of relations, which are complete), or an item and its role.
    standing = [
        (i, j, anchor.span if habits.complete else (i, label.partition(" ")[0]))
        for i, (item, anchor) in enumerate(zip(items, anchors, strict=True))
        for j, (label, surface) in enumerate(item.companions)
        if places[surface].places
    ]
    options = {(i, j): places[items[i].companions[j][1]].places for i, j, _ in standing}
    if sum(map(len, options.values())) > MAX_CANDIDATES:
        return chosen
    unit = 1 + (length + 1) * len(options)
    for _, group in groupby(standing, key=lambda each: each[2]):
        run = [(i, j) for i, j, _ in group]
        costs = [[place.rank * unit + gap(place, anchors[i]) for place in options[i, j]] for i, j in run]
        equal = [
            items[i] == items[k] and items[i].companions[j] == items[k].companions[m]
            for (i, j), (k, m) in pairwise(run)
        ]
        stays = [0, *(STEP_BACK * unit * same for same in equal)]
        path = cheapest_path([options[each] for each in run], costs, stays, STEP_BACK * unit)
        for (i, j), index in zip(run, path, strict=True):
            chosen[i][j] = options[i, j][index]
    return chosen


def cheapest_path(
    candidates: Sequence[Sequence[Place]], costs: Sequence[Sequence[int]], stays: Sequence[int], back: int
) -> list[int]:
    """The index of the candidate to take for each item, so that costs and steps sum to the least.

    A step from a place to a later one is free, to the same one costs `stays[i]` of the later item, and to an
    earlier one `back`. Candidates are in the order of the text. Of equally cheap paths, the earliest places.
    """
    totals, origins = list(costs[0]) if costs else [0], []
    for i in range(1, len(candidates)):
        totals, origin = _step(candidates[i - 1], totals, candidates[i], stays[i], back)
        totals = [total + cost for total, cost in zip(totals, costs[i], strict=True)]
        origins.append(origin)
    path = [min(range(len(totals)), key=totals.__getitem__)]
    for origin in reversed(origins):
        path.append(origin[path[-1]])
    return path[::-1] if candidates else []


def _step(
    before: Sequence[Place], totals: Sequence[int], after: Sequence[Place], stay: int, back: int
) -> tuple[list[int], list[int]]:
    """For each place of `after`: the least cost to arrive there, and from which place of `before`."""
    # best[j]: the earliest of the cheapest among the first j + 1 places before.
    best: list[int] = []
    for j, total in enumerate(totals):
        best.append(j if not best or total < totals[best[-1]] else best[-1])
    arrivals, origin = [], []
    spans = [place.span for place in before]
    passed = 0  # how many places of `before` lie before the place at hand
    for place in after:
        span = place.span
        while passed < len(spans) and spans[passed] < span:
            passed += 1
        ways = [(totals[best[-1]] + back, best[-1])]
        if passed:
            ways.append((totals[best[passed - 1]], best[passed - 1]))
        if passed < len(spans) and spans[passed] == span:
            ways.append((totals[passed] + stay, passed))
        cost, source = min(ways)
        arrivals.append(cost)
        origin.append(source)
    return arrivals, origin


class _Equals:
    """Items that are equal, and where they stand so far."""

    def __init__(self, item: Item, places: Places, habits: Habits) -> None:
        self._item, self._places, self._habits = item, places, habits
        self._taken: dict[Place, set[Found]] = defaultdict(set)
        # Where to go when a place is taken; what an equal item has found full stays full.
        self._others = places[item.anchor].plainest_first()
        self._other = next(self._others, None)

    def settle(self, wanted: Place, likely: Sequence[Place | None]) -> Found | None:
        """The next of the items, at the place wanted or, where an equal one is, at the first free one."""
        found = self._at(wanted, likely)
        while found is None and self._other is not None:
            found = self._at(self._other)
            if found is None:
                self._other = next(self._others, None)
        return found

    def _at(self, anchor: Place, likely: Sequence[Place | None] = ()) -> Found | None:
        taken = self._taken[anchor]
        found = Found(anchor, self._companions(anchor, taken, likely))
        if found in taken or (self._habits.complete and None in found.companions):
            return None
        if self._habits.unique:
            taken.add(found)
        return found

    def _companions(
        self, anchor: Place, equals: Collection[Found], likely: Sequence[Place | None]
    ) -> tuple[Place | None, ...]:
        """The likely or the nearest place of each companion; none for two equal ones, here or in equal items."""
        found: list[Place | None] = []
        companions = self._item.companions
        for i, companion in enumerate(companions):
            taken = {found[j] for j in range(i) if companions[j] == companion}
            taken |= {equal.companions[i] for equal in equals}
            if self._habits.complete:
                taken.add(anchor)
            first = likely[i] if likely else None
            free = first is not None and first not in taken
            found.append(first if free else self._places[companion[1]].nearest(anchor, taken))
        return tuple(found)
