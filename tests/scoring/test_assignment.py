"""The cheapest path against trying everything."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.scoring.assignment import cheapest_path
from kcx_jax.scoring.places import Place

PLACES = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 2)), min_size=1, max_size=4, unique=True).map(
    lambda pairs: [Place(start, start + length) for start, length in sorted(pairs)]
)
STEPS = st.tuples(PLACES, st.lists(st.integers(0, 5), min_size=4, max_size=4), st.integers(0, 4))


def total(path, steps, back):
    cost = 0
    for i, (places, costs, stay) in enumerate(steps):
        cost += costs[path[i]]
        if i:
            before, here = steps[i - 1][0][path[i - 1]].span, places[path[i]].span
            cost += 0 if before < here else min(stay, back) if before == here else back
    return cost


@settings(deadline=None)
@given(st.lists(STEPS, max_size=5), st.integers(0, 9))
def test_no_path_is_cheaper(steps, back):
    path = cheapest_path(
        [places for places, _, _ in steps],
        [costs[: len(places)] for places, costs, _ in steps],
        [stay for _, _, stay in steps],
        back,
    )
    assert len(path) == len(steps)
    every = product(*(range(len(places)) for places, _, _ in steps))
    assert total(path, steps, back) == min(total(other, steps, back) for other in every)


def test_of_equally_cheap_paths_the_earliest_places():
    line = [Place(i, i + 1) for i in range(5)]
    assert cheapest_path([line, line[1:], line], [[0] * 5, [0] * 4, [0] * 5], [0, 9, 9], 99) == [0, 0, 2]
