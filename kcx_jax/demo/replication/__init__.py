"""A small replication of the paper's claim that alignment helps languages which tuning never saw.

Lives here: the systems that are compared, how they are tuned and asked, what their differences amount to, and the
tables. Not here: the corpus and its constructed languages (`demo.corpus`), the score and its resampling (`scoring`).
"""

from kcx_jax.demo.replication.comparison import COMPARISONS, Comparison, Effect, effects
from kcx_jax.demo.replication.page import tables
from kcx_jax.demo.replication.runs import make_base, measure
from kcx_jax.demo.replication.settings import GROUPS, READ, SYSTEMS, Replication, System

__all__ = [
    "COMPARISONS",
    "GROUPS",
    "READ",
    "SYSTEMS",
    "Comparison",
    "Effect",
    "Replication",
    "System",
    "effects",
    "make_base",
    "measure",
    "tables",
]
