"""Several datasets: each is scored alone, and the figures are averaged over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.scoring.counts import MacroCounts
from kcx_jax.scoring.metrics import Scores


@dataclass(frozen=True)
class DatasetMeans:
    """The unweighted means of each measure's precision, recall and F1 over the datasets that have it.

    means: by measure; `MacroCounts.classes` holds the datasets' own figures. mode: of all of them.
    """

    mode: str
    datasets: dict[str, Scores]
    means: dict[str, MacroCounts]

    def to_json(self) -> dict[str, Any]:
        """The means with the number of datasets in each; figures in [0, 1]."""
        return {
            unit: {
                "precision": mean.precision,
                "recall": mean.recall,
                "f1": mean.f1,
                "datasets": len(mean.classes),
            }
            for unit, mean in self.means.items()
        }


def mean_over_datasets(datasets: Mapping[str, Scores]) -> DatasetMeans:
    """The macro average of scores by the name of their dataset: what a dataset's figure is, its mode says.

    Raises `UsageError` for no dataset, or for scores of different modes.
    """
    modes = dict.fromkeys(scores.mode for scores in datasets.values())
    if len(modes) != 1:
        raise UsageError(f"a mean needs datasets scored in one mode, not {len(modes)}: {', '.join(modes)}")
    units = dict.fromkeys(unit for scores in datasets.values() for unit in scores.units)
    means = {
        unit: MacroCounts.over(s.units[unit].total for s in datasets.values() if unit in s.units)
        for unit in units
    }
    (mode,) = modes
    return DatasetMeans(mode, dict(datasets), means)
