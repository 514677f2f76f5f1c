"""How far a micro F1 can be trusted: bootstrap intervals, and a paired test between two systems."""

from collections.abc import Sequence

import numpy as np

from kcx_jax.errors import UsageError
from kcx_jax.scoring.counts import Counts


def f1_interval(
    records: Sequence[Counts], samples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of the micro F1, records being drawn with replacement.

    Args:
        records: the counts of each record (`counts_by_record`). samples: how many draws. level: the share of
            draws inside the interval, in (0, 1).

    Raises `UsageError` without a record, for fewer than one sample, or for another level.
    """
    if not 0 < level < 1:
        raise UsageError(f"level must lie between 0 and 1, not {level}")
    counts_N3 = _array(records, samples)
    rng, size = np.random.default_rng(seed), len(counts_N3)
    # One draw at a time: memory stays that of the records.
    drawn = [_f1(counts_N3[rng.integers(size, size=size)].sum(axis=0)) for _ in range(samples)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_p_value(
    one: Sequence[Counts], other: Sequence[Counts], samples: int = 1000, seed: int = 0
) -> float:
    """The two-sided p-value of the difference of two systems' micro F1, by approximate randomisation.

    Under the null hypothesis the two answers to a record may change places; p is the share of such exchanges,
    the observed one included, whose difference is at least as large: (1 + k) / (1 + samples), in (0, 1].

    Raises `UsageError` where the systems have different numbers of records, for no record or no sample.
    """
    if len(one) != len(other):
        raise UsageError(f"a paired test needs the same records: {len(one)} against {len(other)}")
    one_N3, other_N3 = _array(one, samples), _array(other, samples)
    rng = np.random.default_rng(seed)
    seen = abs(_f1(one_N3.sum(axis=0)) - _f1(other_N3.sum(axis=0)))
    both_3, difference_N3 = (one_N3 + other_N3).sum(axis=0), one_N3 - other_N3
    beyond = 0
    for _ in range(samples):
        signs_N = rng.integers(2, size=len(one_N3)) * 2 - 1
        apart_3 = signs_N @ difference_N3
        # Halves cancel: the F1 of doubled counts is the F1.
        beyond += abs(_f1(both_3 + apart_3) - _f1(both_3 - apart_3)) >= seen - 1e-12
    return (1 + beyond) / (1 + samples)


def _array(records: Sequence[Counts], samples: int) -> np.ndarray:
    if not records:
        raise UsageError("there is no record to draw from")
    if samples < 1:
        raise UsageError(f"at least one sample is needed, not {samples}")
    return np.array([(c.tp, c.fp, c.fn) for c in records], dtype=np.int64)


def _f1(counts_3: np.ndarray) -> float:
    return Counts(*map(int, counts_3)).f1
