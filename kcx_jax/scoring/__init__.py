"""Grounding of answers to offsets, and metrics whose definition stands beside them.

Lives here: instances + text -> record; gold + predicted -> scores. Not here: running models (`evaluation`).
"""

from kcx_jax.scoring.ancestors import ancestors_of
from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.errors import ItemError, error_counts, item_errors
from kcx_jax.scoring.grounding import Grounded, Unresolved, ground
from kcx_jax.scoring.joining import joined
from kcx_jax.scoring.metrics import Scorer, Scores, UnitScore, counts_by_record, score
from kcx_jax.scoring.modes import MODES, STRICT
from kcx_jax.scoring.rates import Rates
from kcx_jax.scoring.report import latex, markdown
from kcx_jax.scoring.resampling import f1_interval, f1_intervals, paired_p_value
from kcx_jax.scoring.views import task_view

__all__ = [
    "MODES",
    "STRICT",
    "Counts",
    "Grounded",
    "ItemError",
    "Rates",
    "Scorer",
    "Scores",
    "UnitScore",
    "Unresolved",
    "ancestors_of",
    "counts_by_record",
    "error_counts",
    "f1_interval",
    "f1_intervals",
    "ground",
    "item_errors",
    "joined",
    "latex",
    "markdown",
    "paired_p_value",
    "score",
    "task_view",
]
