"""How far an F1 can be trusted: bootstrap intervals, and a paired test between two systems.

Records are drawn, and the figure is made anew from what was drawn, rounding and means included; so both hold
for every mode.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from kcx_jax.errors import UsageError
from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.figures import Averaging, Figures, Groups, figures, micro
from kcx_jax.scoring.record_counts import RecordCounts

Interval = tuple[float, float]


def f1_interval(
    records: Iterable[Counts] | RecordCounts, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The percentile bootstrap interval of the micro F1, records being drawn with replacement.

    Args:
        records: the counts of each record (`counts_by_record`). samples: how many draws. level: the share of
            draws inside the interval, in (0, 1).

    Raises `UsageError` without a record, for fewer than one sample, or for another level.
    """
    return f1_intervals(records, micro, samples, level, seed).total


def f1_intervals(
    records: Iterable[Counts] | RecordCounts,
    averaging: Averaging = micro,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Figures[Interval]:
    """As `f1_interval`, for the dataset, each type, each language and the mean over types, of the same draws.

    Args:
        averaging: what makes the dataset's figure (`Mode.averaging`).
    """
    if not 0 < level < 1:
        raise UsageError(f"level must lie between 0 and 1, not {level}")
    counts = _compact(records, samples)
    rng, size = np.random.default_rng(seed), len(counts)
    drawn = []
    for _ in range(samples):  # one draw at a time: memory stays that of the records
        weights_N = np.bincount(rng.integers(size, size=size), minlength=size)
        drawn.append(figures(counts.sums(weights_N), averaging).each(lambda found: found.f1))
    edges = [(1 - level) / 2, (1 + level) / 2]

    def interval(values: list[float]) -> Interval:
        low, high = np.quantile(values, edges)
        return float(low), float(high)

    def by_name(parts: list[Mapping[str, float]]) -> dict[str, Interval]:
        return {name: interval([part[name] for part in parts]) for name in (parts[0] if parts else ())}

    return Figures(
        interval([each.total for each in drawn]),
        interval([each.macro for each in drawn]),
        by_name([each.per_type for each in drawn]),
        by_name([each.per_language for each in drawn]),
    )


def paired_p_value(
    one: Iterable[Counts] | RecordCounts,
    other: Iterable[Counts] | RecordCounts,
    samples: int = 1000,
    seed: int = 0,
    averaging: Averaging = micro,
) -> float:
    """The two-sided p-value of the difference of two systems' F1, by approximate randomisation.

    Under the null hypothesis the two answers to a record may change places; p is the share of such exchanges,
    the observed one included, whose difference is at least as large: (1 + k) / (1 + samples), in (0, 1].

    Args:
        averaging: what makes the figure (`Mode.averaging`).

    Raises `UsageError` where the systems have different numbers of records, for no record or no sample.
    """
    left, right = _paired(one, other, samples)
    rng, size = np.random.default_rng(seed), len(left)

    def apart(swapped_N: np.ndarray) -> float:
        kept_N = 1 - swapped_N
        here = _f1(_added(left.sums(kept_N), right.sums(swapped_N)), averaging)
        there = _f1(_added(left.sums(swapped_N), right.sums(kept_N)), averaging)
        return abs(here - there)

    seen = apart(np.zeros(size, dtype=np.int64))
    beyond = sum(apart(rng.integers(2, size=size)) >= seen - 1e-12 for _ in range(samples))
    return (1 + beyond) / (1 + samples)


@dataclass(frozen=True)
class Difference:
    """The F1 of another system less that of one, in [-1, 1]: as it is, its 95 % interval, and how sure it is below 0.

    p_worse: one-sided, (1 + draws in which the other is not worse) / (1 + draws), and never below 2**-k, k being the
    number of records on which the two differ.
    """

    observed: float
    interval_95: Interval
    p_worse: float


def paired_bootstrap(
    one: RecordCounts,
    other: RecordCounts,
    samples: int = 1000,
    seed: int = 0,
    averaging: Averaging = micro,
) -> Difference:
    """How much better `other` is than `one` on the same records, these being drawn with replacement for both at once.

    Few records that all point one way do so in every draw, which would be surer than they allow: were the systems
    equal, the two answers to a record could change places, so with k records whose counts differ (by language and
    type) one exchange of 2**k gives what was seen, and no test can be surer than 2**-k. `p_worse` is not below it.

    Args:
        averaging: what makes the figure (`Mode.averaging`).

    Raises `UsageError` where the systems have different numbers of records, for no record or no sample.
    """
    drawn = paired_draws(one, other, samples, seed, averaging)
    low, high = np.quantile(drawn, [0.025, 0.975])
    not_worse = int(np.sum(drawn >= 0))
    p_worse = max((1 + not_worse) / (1 + samples), 0.5 ** one.differing(other))
    everything = np.ones(len(one), dtype=np.int64)
    return Difference(_apart(one, other, everything, averaging), (float(low), float(high)), p_worse)


def paired_draws(
    one: RecordCounts,
    other: RecordCounts,
    samples: int = 1000,
    seed: int = 0,
    averaging: Averaging = micro,
) -> np.ndarray:
    """The differences behind `paired_bootstrap`, float64 of shape (samples,).

    With one seed, the same records are drawn from any counts of as many records: runs of the same systems can be
    added up draw by draw. Raises as `paired_bootstrap`.
    """
    left, right = _paired(one, other, samples)
    rng, size = np.random.default_rng(seed), len(left)
    weights = (np.bincount(rng.integers(size, size=size), minlength=size) for _ in range(samples))
    return np.array([_apart(left, right, weights_N, averaging) for weights_N in weights])


def _apart(one: RecordCounts, other: RecordCounts, weights_N: np.ndarray, averaging: Averaging) -> float:
    return _f1(other.sums(weights_N), averaging) - _f1(one.sums(weights_N), averaging)


def _compact(records: Iterable[Counts] | RecordCounts, samples: int) -> RecordCounts:
    counts = records if isinstance(records, RecordCounts) else RecordCounts.of(records)
    if not len(counts):
        raise UsageError("there is no record to draw from")
    if samples < 1:
        raise UsageError(f"at least one sample is needed, not {samples}")
    return counts


def _paired(
    one: Iterable[Counts] | RecordCounts, other: Iterable[Counts] | RecordCounts, samples: int
) -> tuple[RecordCounts, RecordCounts]:
    left, right = _compact(one, samples), _compact(other, samples)
    if len(left) != len(right):
        raise UsageError(f"a paired test needs the same records: {len(left)} against {len(right)}")
    return left, right


def _f1(groups: Groups, averaging: Averaging) -> float:
    return figures(groups, averaging).total.f1


def _added(one: Groups, other: Groups) -> Groups:
    return {key: one.get(key, Counts()) + other.get(key, Counts()) for key in {**one, **other}}
