"""Hand-written low-rank adapters as pure functions and their own variable collection.

Lives here: initialising, applying, merging, rewriting and choosing targets. Not here: files (`checkpoints`).
"""

from kcx_jax.lora.adapter import (
    TARGETS,
    LoraConfig,
    adapter_output,
    adapter_parameters,
    merge,
    merge_layer,
    targets_of,
)
from kcx_jax.lora.rewrite import fuse, joined, split

__all__ = [
    "TARGETS",
    "LoraConfig",
    "adapter_output",
    "adapter_parameters",
    "fuse",
    "joined",
    "merge",
    "merge_layer",
    "split",
    "targets_of",
]
