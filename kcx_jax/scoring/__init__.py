"""Grounding of answers to offsets, and metrics whose definition stands beside them.

Lives here: instances + text -> record; gold + predicted -> scores. Not here: running models (`evaluation`).
"""

from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.grounding import Grounded, Unresolved, ground
from kcx_jax.scoring.metrics import Scores, UnitScore, score
from kcx_jax.scoring.modes import MODES, STRICT
from kcx_jax.scoring.views import task_view

__all__ = [
    "MODES",
    "STRICT",
    "Counts",
    "Grounded",
    "Scores",
    "UnitScore",
    "Unresolved",
    "ground",
    "score",
    "task_view",
]
