"""Matching of spans that may only overlap: the four schemes of nervaluate."""

from collections import Counter
from collections.abc import Callable

from kcx_jax.scoring.units import Unit

Units = Counter[Unit]
# How good a prediction is for a gold span it overlaps: (2 right, 1 half right, 0 wrong; then, more is better).
Grade = Callable[[Unit, Unit], tuple[int, int]]


def _span(unit: Unit) -> tuple[int, int]:
    span: tuple[int, int] = unit[1][1]
    return span


def strict(wanted: Unit, given: Unit) -> tuple[int, int]:
    """Right where span and type are equal."""
    return 2 * (wanted == given), 0


def exact(wanted: Unit, given: Unit) -> tuple[int, int]:
    """Right where the span is equal, whatever the type."""
    return 2 * (_span(wanted) == _span(given)), 0


def partial(wanted: Unit, given: Unit) -> tuple[int, int]:
    """Right where the span is equal, half right elsewhere, whatever the type."""
    return 1 + (_span(wanted) == _span(given)), 0


def of_type(wanted: Unit, given: Unit) -> tuple[int, int]:
    """Right where the type is equal; the nearest bounds are preferred."""
    far = sum(abs(a - b) for a, b in zip(_span(wanted), _span(given), strict=True))
    return (2, -far) if wanted[0] == given[0] else (0, 0)


def overlapping(grade: Grade) -> Callable[[Units, Units], tuple[Units, Units, Units]]:
    """A matching in which every prediction, in the order of the text, takes the best free gold span it overlaps.

    The counts are halves of items, so that half a right one is a whole number. A gold span that was taken
    by a wrong prediction is free for no other.
    """

    def match(wanted: Units, given: Units) -> tuple[Units, Units, Units]:
        free = _in_order(wanted)
        tp: Units = Counter()
        fp: Units = Counter()
        fn: Units = Counter()
        for guess in _in_order(given):
            (start, end), value = _span(guess), 0
            near = [i for i, unit in enumerate(free) if _span(unit)[0] < end and start < _span(unit)[1]]
            if near:
                best = max(near, key=lambda i: grade(free[i], guess))
                value = grade(free[best], guess)[0]
                fn[free.pop(best)] += 2 - value
            tp[guess] += value
            fp[guess] += 2 - value
        for unit in free:
            fn[unit] += 2
        return tp, fp, fn

    return match


def _in_order(units: Units) -> list[Unit]:
    return sorted(units.elements(), key=lambda unit: (_span(unit), unit[0]))
