"""What people look at of a results folder: a page with a browser of sentences, and figures for a paper.

Lives here: everything that is made from the folder alone, again whenever it is asked for. Not here: the run and its
table, and the pieces that the demo's page shares (`kcx_jax.evaluation.browser`, `plots`, `kcx_jax.page`).
"""

from kcx_jax.evaluation.runs.report.write import write_report

__all__ = ["write_report"]
