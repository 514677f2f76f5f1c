"""The three-stage pipeline that builds parallel IE data with an LLM.

Lives here: joint translation, span rewriting, sentence rewriting, and the check that every span resolves.
Not here: the HTTP client (`llm`).
"""

from kcx_jax.parallel.build import build, case_for_people, revalidate
from kcx_jax.parallel.outcomes import Outcome, Problem
from kcx_jax.parallel.run import LEDGER, PARALLEL, UNRESOLVED, Run
from kcx_jax.parallel.settings import Settings
from kcx_jax.parallel.statistics import Statistics

__all__ = [
    "LEDGER",
    "PARALLEL",
    "UNRESOLVED",
    "Outcome",
    "Problem",
    "Run",
    "Settings",
    "Statistics",
    "build",
    "case_for_people",
    "revalidate",
]
