"""The counts of a run by language and by type, summed over its benchmarks."""

from typing import Any, Literal

from kcx_jax.evaluation.runs.report.loaded import LoadedRun
from kcx_jax.scoring import MODES, Counts

Part = Literal["per_language", "per_type"]
# Task -> language or type -> system -> counts.
Pooled = dict[str, dict[str, dict[str, Counts]]]


def pooled(run: LoadedRun, part: Part) -> Pooled:
    """The counts of each task's headline measure, in items; languages and types with most in gold come first.

    A system is not there where it was asked of no benchmark that has the language or type.
    """
    found: Pooled = {}
    for benchmark in run.config.benchmarks:
        scores = {system: run.scores(system, benchmark.name) for system in run.systems}
        parts = MODES[benchmark.mode or run.config.mode].parts
        for task in benchmark.tasks or ():
            asked = {
                system: each[task]["units"][task][part] for system, each in scores.items() if task in each
            }
            for label in dict.fromkeys(label for each in asked.values() for label in each):
                systems = found.setdefault(task, {}).setdefault(label, {})
                for system, each in asked.items():
                    systems[system] = systems.get(system, Counts()) + _counts(each.get(label), parts)
    return {
        task: dict(sorted(labels.items(), key=lambda each: -in_gold(each[1])))
        for task, labels in found.items()
    }


def _counts(values: dict[str, Any] | None, parts: int) -> Counts:
    """The counts in items, where some may be half right."""
    return Counts() if values is None else Counts(*(values[side] / parts for side in ("tp", "fp", "fn")))


def in_gold(systems: dict[str, Counts]) -> int:
    """How many items gold has, as the system says that was asked about most of it."""
    return max((round(counts.tp + counts.fn) for counts in systems.values()), default=0)
