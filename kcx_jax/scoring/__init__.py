"""Grounding of answers to offsets, and metrics whose definition stands beside them.

Lives here: instances + text -> record; gold + predicted -> scores. Not here: running models (`evaluation`).
"""

from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.grounding import Grounded, Unresolved, ground
from kcx_jax.scoring.metrics import Scores, UnitScore, counts_by_record, score
from kcx_jax.scoring.modes import MODES, STRICT
from kcx_jax.scoring.report import latex, markdown
from kcx_jax.scoring.resampling import f1_interval, paired_p_value
from kcx_jax.scoring.views import task_view

__all__ = [
    "MODES",
    "STRICT",
    "Counts",
    "Grounded",
    "Scores",
    "UnitScore",
    "Unresolved",
    "counts_by_record",
    "f1_interval",
    "ground",
    "latex",
    "markdown",
    "paired_p_value",
    "score",
    "task_view",
]
