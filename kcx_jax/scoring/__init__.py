"""Grounding of answers to offsets, and metrics whose definition stands beside them.

Lives here: instances + text -> record; gold + predicted -> scores. Not here: running models (`evaluation`).
"""

from kcx_jax.scoring.ancestors import ancestors_of
from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.datasets import DatasetMeans, mean_over_datasets
from kcx_jax.scoring.errors import ItemError, error_counts, item_errors
from kcx_jax.scoring.grounding import Grounded, Unresolved, ground
from kcx_jax.scoring.joining import joined
from kcx_jax.scoring.loose import without_loose
from kcx_jax.scoring.metrics import Scorer, Scores, UnitScore, counts_by_record, score
from kcx_jax.scoring.modes import MODES, STRICT
from kcx_jax.scoring.rates import Rates
from kcx_jax.scoring.report import Sheet, dataset_sheets, definitions, latex, markdown, sheets
from kcx_jax.scoring.resampling import (
    Difference,
    f1_interval,
    f1_intervals,
    paired_bootstrap,
    paired_draws,
    paired_p_value,
)
from kcx_jax.scoring.views import task_view

__all__ = [
    "MODES",
    "STRICT",
    "Counts",
    "DatasetMeans",
    "Difference",
    "Grounded",
    "ItemError",
    "Rates",
    "Scorer",
    "Scores",
    "Sheet",
    "UnitScore",
    "Unresolved",
    "ancestors_of",
    "counts_by_record",
    "dataset_sheets",
    "definitions",
    "error_counts",
    "f1_interval",
    "f1_intervals",
    "ground",
    "item_errors",
    "joined",
    "latex",
    "markdown",
    "mean_over_datasets",
    "paired_bootstrap",
    "paired_draws",
    "paired_p_value",
    "score",
    "sheets",
    "task_view",
    "without_loose",
]
