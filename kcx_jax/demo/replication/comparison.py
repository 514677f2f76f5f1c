"""What the difference between two systems amounts to: its mean over seeds, an interval, what could be detected.

A draw takes sentences with replacement, the same for both systems and for every seed, and seeds with replacement; its
difference is the mean over the seeds that it took. A sentence stands for its versions in all languages of a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcx_jax.demo.replication.settings import GROUPS, Decoding
from kcx_jax.errors import UsageError
from kcx_jax.schema import TASKS
from kcx_jax.scoring import Counts, paired_draws
from kcx_jax.scoring.record_counts import RecordCounts

SAMPLES = 2000
DETECTED = 2.8  # standard errors: 1.96 for a two-sided test at 5 %, 0.84 for a power of 0.8

Runs = Mapping[str, Mapping[int, Mapping[str, Any]]]  # what `measure` gives, by system and seed


@dataclass(frozen=True)
class Comparison:
    """How much better `other` is than `one`."""

    question: str
    one: str
    other: str
    decoding: Decoding


COMPARISONS = (
    Comparison("Does stage 1 help?", "stage 2", "stages 1 + 2", "constrained"),
    Comparison("Is it more than the steps of stage 1?", "stage 2, longer", "stages 1 + 2", "constrained"),
    Comparison("Does the code form beat JSON?", "stage 2, JSON answers", "stage 2", "free"),
    Comparison("Does grouping change F1?", "stage 2, one by one", "stage 2", "constrained"),
)


@dataclass(frozen=True)
class Effect:
    """A difference of micro F1, in [-1, 1]: the mean over seeds and each seed's, its 95 % interval, standard error."""

    mean: float
    by_seed: dict[int, float]
    interval_95: tuple[float, float]
    standard_error: float

    @property
    def detectable(self) -> float:
        """The smallest difference that is found with a power of 0.8 at this standard error."""
        return DETECTED * self.standard_error

    def to_json(self) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "by_seed": {str(seed): value for seed, value in self.by_seed.items()},
            "interval_95": list(self.interval_95),
            "standard_error": self.standard_error,
            "detectable": self.detectable,
        }


def effects(
    comparison: Comparison, runs: Runs, samples: int = SAMPLES, seed: int = 0
) -> dict[str, dict[str, Effect]]:
    """The effects by group of languages and task, of the seeds that both systems have.

    Raises `UsageError` where they share none.
    """
    seeds = sorted(runs.get(comparison.one, {}).keys() & runs.get(comparison.other, {}).keys())
    if not seeds:
        raise UsageError(f"{comparison.one!r} and {comparison.other!r} have no seed in common")
    return {
        group: {
            task: _effect(
                {
                    number: [
                        _by_sentence(runs[system][number]["counts"][comparison.decoding], languages, task)
                        for system in (comparison.one, comparison.other)
                    ]
                    for number in seeds
                },
                samples,
                seed,
            )
            for task in TASKS
        }
        for group, languages in GROUPS.items()
    }


def f1(counts: Mapping[str, Any], languages: Sequence[str], task: str) -> float:
    """The micro F1 over `languages` of one run's counts by language and task, in [0, 1]."""
    return sum(_by_sentence(counts, languages, task), Counts()).f1


def _by_sentence(counts: Mapping[str, Any], languages: Sequence[str], task: str) -> list[Counts]:
    """Of each sentence, over all its versions."""
    versions = zip(*(counts[language][task] for language in languages), strict=True)
    return [sum((Counts(*each) for each in rows), Counts()) for rows in versions]


def _effect(pairs: Mapping[int, Sequence[Sequence[Counts]]], samples: int, seed: int) -> Effect:
    by_seed = {
        number: sum(other, Counts()).f1 - sum(one, Counts()).f1 for number, (one, other) in pairs.items()
    }
    # One seed of the draws for all runs: draw n takes the same sentences of each.
    drawn_SN = np.stack(
        [
            paired_draws(RecordCounts.of(one), RecordCounts.of(other), samples, seed)
            for one, other in pairs.values()
        ]
    )
    rng, size = np.random.default_rng(seed + 1), len(pairs)
    taken_SN = rng.integers(size, size=(size, samples))
    drawn_N = np.take_along_axis(drawn_SN, taken_SN, axis=0).mean(axis=0)
    low, high = np.quantile(drawn_N, [0.025, 0.975])
    return Effect(
        float(np.mean(list(by_seed.values()))), by_seed, (float(low), float(high)), float(drawn_N.std())
    )
