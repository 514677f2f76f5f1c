"""Hugging Face weights in and out, PEFT adapters, and the Orbax store of a run.

Lives here: every file that holds weights. Not here: the arithmetic on them (`models`, `lora`).
"""

from kcx_jax.checkpoints.export import export_pretrained, save_pretrained
from kcx_jax.checkpoints.load import load_pretrained
from kcx_jax.checkpoints.model import LoadedModel
from kcx_jax.checkpoints.run_store import Restored, RunStore

__all__ = [
    "LoadedModel",
    "Restored",
    "RunStore",
    "export_pretrained",
    "load_pretrained",
    "save_pretrained",
]
