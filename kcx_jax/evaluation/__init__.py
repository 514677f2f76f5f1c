"""Running benchmarks: systems x tasks x languages -> scores, tables, plots and pieces of reports.

Lives here: who is scored on what, and how it is shown. Not here: the metrics themselves (`scoring`).
"""

from kcx_jax.evaluation.answers import Answered, answer_records
from kcx_jax.evaluation.table import console_table, score_table

__all__ = ["Answered", "answer_records", "console_table", "score_table"]
