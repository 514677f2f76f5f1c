"""State, step, loop, optimiser and the two tuning stages.

Lives here: everything between a row plan and a checkpoint. Not here: decoding and scores (passed in as a
callback).
"""

from kcx_jax.training.config import LoopSettings, StageSettings, TrainConfig, load_config
from kcx_jax.training.loop import Stage, TrainResult, plan_stages, train_trees
from kcx_jax.training.metrics import StepMetrics, read_metrics
from kcx_jax.training.run import train, tuned_model

__all__ = [
    "LoopSettings",
    "Stage",
    "StageSettings",
    "StepMetrics",
    "TrainConfig",
    "TrainResult",
    "load_config",
    "plan_stages",
    "read_metrics",
    "train",
    "train_trees",
    "tuned_model",
]
