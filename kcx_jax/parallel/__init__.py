"""The three-stage pipeline that builds parallel IE data with an LLM.

Lives here: joint translation, span rewriting, sentence rewriting, and the check that every span resolves.
Not here: the HTTP client (`llm`).
"""

from kcx_jax.parallel.build import (
    LEDGER,
    PARALLEL,
    UNRESOLVED,
    BuildResult,
    build,
    case_for_people,
    replay,
)
from kcx_jax.parallel.pipeline import Outcome, Problem
from kcx_jax.parallel.statistics import Statistics

__all__ = [
    "LEDGER",
    "PARALLEL",
    "UNRESOLVED",
    "BuildResult",
    "Outcome",
    "Problem",
    "Statistics",
    "build",
    "case_for_people",
    "replay",
]
