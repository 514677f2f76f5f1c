"""The order of rows: those of every tree all over the epoch, and several trees in every step."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np

_STEPS_AHEAD = 16  # that are searched for a row of another tree


def spread(trees_R: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An order of rows, of which tree each is: shuffled, those of each tree at nearly equal distances."""
    by_tree = np.argsort(trees_R, kind="stable")
    starts = np.flatnonzero(np.diff(trees_R[by_tree], prepend=-1))
    counts = np.diff(starts, append=len(by_tree))
    places_R = np.empty(len(by_tree))
    for tree in np.argsort(by_tree[starts]).tolist():  # in the order of their first row
        start, number = starts[tree], counts[tree]
        offset = rng.random()
        same = by_tree[start : start + number]
        places_R[same[rng.permutation(number)]] = (np.arange(number) + offset) / number
    return np.argsort(places_R, kind="stable")


def mixed(trees_R: np.ndarray, size: int, trees: int) -> Iterator[list[int]]:
    """Steps of `size` rows in their order, save that rows are taken early for a step to have `trees` trees."""
    rest = iter(enumerate(trees_R.tolist()))
    ahead: list[tuple[int, int]] = []  # row, tree
    while ahead := [*ahead, *islice(rest, size * _STEPS_AHEAD - len(ahead))]:
        first: dict[int, int] = {}  # the first row of each tree
        for index, (_, tree) in enumerate(ahead):
            first.setdefault(tree, index)
        # Trees with most rows ahead first, or these would be left to steps of their own.
        common = Counter(tree for _, tree in ahead).most_common(min(size, trees))
        others = [first[tree] for tree, _ in common]
        picked = dict.fromkeys([*others, *range(len(ahead))])
        taken = list(picked)[:size]
        yield [ahead[index][0] for index in taken]
        used = set(taken)
        ahead = [row for index, row in enumerate(ahead) if index not in used]
