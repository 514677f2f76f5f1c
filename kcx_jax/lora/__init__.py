"""Hand-written low-rank adapters as pure functions and their own variable collection.

Lives here: initialising, applying, merging and choosing targets. Not here: files (`checkpoints`).
"""

from kcx_jax.lora.adapter import LoraConfig, adapter_output, adapter_parameters, merge

__all__ = ["LoraConfig", "adapter_output", "adapter_parameters", "merge"]
