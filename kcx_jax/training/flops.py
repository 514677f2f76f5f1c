"""Operations that a step cannot do without, and the share of a device's peak that they make."""

from collections.abc import Sequence
from typing import Literal

import jax

from kcx_jax.data.encode import TokenTree
from kcx_jax.data.steps import Step
from kcx_jax.models import ModelConfig

HOPPER_PEAK = 989e12  # FLOP/s of an H100 or H200 (SXM) in bfloat16, dense, by NVIDIA's data sheet
_PEAKS = {  # by the beginning of JAX's name of the device; from the makers' data sheets, as above
    "NVIDIA H100 80GB HBM3": HOPPER_PEAK,
    "NVIDIA H200": HOPPER_PEAK,
    "NVIDIA A100": 312e12,
    "NVIDIA L40S": 362e12,
}


def needed_flops(
    config: ModelConfig, trees: Sequence[TokenTree], step: Step, mode: Literal["lora", "full"] = "lora"
) -> float:
    """Floating-point operations that a step cannot do without.

    4 per weight of the body and token (forward, and the input's gradient; frozen weights get none, in mode full they
    are 6), as many per weight of the head and target, and 12 per channel and pair of a query and a key that it sees.
    Padding, recomputation and the adapters' own operations are not counted.
    """
    D, F, Q = config.hidden_size, config.intermediate_size, config.query_size
    body = config.num_layers * (D * config.qkv_rows["v_proj"].stop + D * Q + 3 * D * F)
    pairs = 0
    for row in (row for row in step.rows if row.counted):
        tree = trees[row.tree]
        prefix = len(tree.prefix)
        inputs = tree.inputs[list(row.branches)].tolist()
        pairs += prefix * (prefix + 1) // 2 + sum(n * prefix + n * (n + 1) // 2 for n in inputs)
    attention = 12 * config.num_layers * Q * pairs
    each = 4 if mode == "lora" else 6
    return each * (body * step.tokens + config.vocab_size * D * step.targets) + attention


def peak_flops(dtype: str) -> float | None:
    """FLOP/s of all devices together in `dtype`; None where it is not known."""
    kind = jax.devices()[0].device_kind
    peaks = [peak for name, peak in _PEAKS.items() if kind.startswith(name)]
    return peaks[0] * jax.device_count() if peaks and dtype == "bfloat16" else None
