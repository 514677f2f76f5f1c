"""``kcx evaluate``: a list of benchmarks answered by a list of systems, in one results folder.

Lives here: the config, the benchmarks' records, the systems, the run, its table, two runs compared. Not here: how
answers are counted (`scoring`).
"""

from kcx_jax.evaluation.runs.compare import compare_runs
from kcx_jax.evaluation.runs.config import EvaluateConfig, load_config
from kcx_jax.evaluation.runs.run import Outcome, evaluate

__all__ = ["EvaluateConfig", "Outcome", "compare_runs", "evaluate", "load_config"]
