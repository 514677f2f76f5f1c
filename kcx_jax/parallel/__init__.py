"""The three-stage pipeline that builds parallel IE data with an LLM.

Lives here: one record through the stages (`translation`), a corpus (`runs`), what people decide (`review`), figures
(`report`), pairs for others (`dataset`), and other ways of projecting labels (`projection`).
Not here: the HTTP client (`llm`).
"""

from kcx_jax.parallel.runs.build import build, case_for_people, revalidate
from kcx_jax.parallel.runs.run import LEDGER, PARALLEL, UNRESOLVED, Run
from kcx_jax.parallel.runs.settings import Settings
from kcx_jax.parallel.runs.statistics import Statistics
from kcx_jax.parallel.translation.outcomes import Outcome, Problem

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
