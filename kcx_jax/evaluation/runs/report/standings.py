"""Who is best: systems by their mean F1 over the benchmarks of a task, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from kcx_jax.evaluation.runs.report.loaded import LoadedRun

Interval = tuple[float, float]

METHOD = (
    "The interval of a mean is put together from those of its benchmarks, whose records are drawn independently: its "
    "distance from the mean is the root of the sum of their squared distances, divided by their number (MOVER, Zou "
    "and Donner 2008). With one benchmark it is that benchmark's own."
)


@dataclass(frozen=True)
class Standing:
    """A system's mean F1 in [0, 1] over the benchmarks of a task that it has a figure for: `run` of `of`.

    f1 and interval are None where there is none at all.
    """

    system: str
    f1: float | None
    interval: Interval | None
    run: int
    of: int

    @property
    def ranked(self) -> bool:
        """Whether the mean is over all benchmarks, so that it may be held against others."""
        return self.run == self.of


def standings(run: LoadedRun) -> dict[str, list[Standing]]:
    """For each task that anything is measured of, best first; systems without all benchmarks come last.

    Benchmarks with nothing in gold are left out.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in run.rows:
        if not any(cell.get("gold") == 0 for cell in row["measured"].values()):
            rows.setdefault(row["task"], []).append(row["measured"])
    found = {
        task: [_standing(system, [cells[system] for cells in each]) for system in run.systems]
        for task, each in rows.items()
    }
    return {
        task: sorted(
            each, key=lambda one: (not one.ranked, -one.run if not one.ranked else 0, -(one.f1 or 0.0))
        )
        for task, each in found.items()
        if any(one.f1 is not None for one in each)
    }


def best_first(run: LoadedRun, ranking: Mapping[str, Sequence[Standing]]) -> list[str]:
    """All systems, in the order of the first task's leaderboard."""
    first = [one.system for each in list(ranking.values())[:1] for one in each]
    return list(dict.fromkeys([*first, *run.systems]))


def _standing(system: str, cells: Sequence[dict[str, Any]]) -> Standing:
    measured = [cell for cell in cells if "f1" in cell]
    if not measured:
        return Standing(system, None, None, 0, len(cells))
    f1 = sum(cell["f1"] for cell in measured) / len(measured)
    return Standing(system, f1, _interval(measured, f1), len(measured), len(cells))


def _interval(cells: Sequence[dict[str, Any]], f1: float) -> Interval:
    """The interval of the mean; an edge on the wrong side of its own figure counts as no distance."""
    below = [max(0.0, cell["f1"] - cell["f1_interval_95"][0]) for cell in cells]
    above = [max(0.0, cell["f1_interval_95"][1] - cell["f1"]) for cell in cells]
    low, high = (sqrt(sum(edge**2 for edge in edges)) / len(cells) for edges in (below, above))
    return f1 - low, f1 + high
