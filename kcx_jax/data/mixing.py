"""The order of rows: those of every tree all over the epoch, and several trees in every step."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from kcx_jax.data.rows import Row

_STEPS_AHEAD = 16  # that are searched for a row of another tree


def spread(rows: Sequence[Row], rng: np.random.Generator) -> list[Row]:
    """The rows shuffled, those of each tree at nearly equal distances."""
    by_tree: dict[int, list[Row]] = {}
    for row in rows:
        by_tree.setdefault(row.tree, []).append(row)
    placed = []
    for same in by_tree.values():
        start = rng.random()
        order = rng.permutation(len(same))
        placed += [((place + start) / len(same), same[i]) for place, i in enumerate(order)]
    return [row for _, row in sorted(placed)]


def mixed(rows: Sequence[Row], size: int, trees: int) -> Iterator[list[Row]]:
    """Steps of `size` rows in their order, save that rows are taken early for a step to have `trees` trees."""
    rest = iter(rows)
    ahead: list[Row] = []
    while ahead := [*ahead, *islice(rest, size * _STEPS_AHEAD - len(ahead))]:
        first: dict[int, int] = {}  # the first row of each tree
        for index, row in enumerate(ahead):
            first.setdefault(row.tree, index)
        # Trees with most rows ahead first, or these would be left to steps of their own.
        common = Counter(row.tree for row in ahead).most_common(min(size, trees))
        others = [first[tree] for tree, _ in common]
        picked = dict.fromkeys([*others, *range(len(ahead))])
        taken = list(picked)[:size]
        yield [ahead[index] for index in taken]
        used = set(taken)
        ahead = [row for index, row in enumerate(ahead) if index not in used]
