"""LoRA: y = W x + (alpha / r) * B (A x), with W frozen (Hu et al. 2021).

A pair of adapter matrices lies in the collection under the name of its kernel: {"A": [r, in], "B": [out, r]}
(the order of PEFT files), with a leading layer axis in the scanned stack.

Shapes: N = tokens flattened, D = inputs, F = outputs, r = rank.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from kcx_jax.errors import UsageError
from kcx_jax.ops.numerics import linear, statistics_dtype
from kcx_jax.ops.parameters import Parameter, uniform, zeros

TARGETS = ("W_pack", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoraConfig:
    """Rank, alpha, dropout on the adapter's input, adapted kernels by name. `UsageError` if invalid."""

    rank: int = 32
    alpha: float = 64.0
    dropout: float = 0.0
    targets: tuple[str, ...] = TARGETS

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UsageError(f"LoRA rank must be at least 1, found {self.rank}.")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"LoRA dropout must be in [0, 1), found {self.dropout}.")
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets or len(set(self.targets)) != len(self.targets):
            raise UsageError(
                f"LoRA targets must be a choice of {', '.join(TARGETS)}, each once; "
                f"found {list(self.targets)}."
            )

    @property
    def scale(self) -> float:
        """The factor alpha / r of the adapter's output."""
        return self.alpha / self.rank


def adapter_parameters(kernels: Mapping[str, Parameter], lora: LoraConfig) -> dict[str, dict[str, Parameter]]:
    """Descriptions of A and B for each target among `kernels` ([out, in] each).

    A is kaiming-uniform with a = sqrt(5), that is uniform within 1/sqrt(in), B is zero: the adapted model
    starts as its base.
    """
    described = {}
    for name in lora.targets:
        (out_size, in_size), (out_axis, in_axis) = kernels[name].shape, kernels[name].axes
        described[name] = {
            "A": Parameter((lora.rank, in_size), (None, in_axis), uniform(in_size**-0.5)),
            "B": Parameter((out_size, lora.rank), (out_axis, None), zeros),
        }
    return described


def adapter_output(
    x: jax.Array, pair: Mapping[str, jax.Array], lora: LoraConfig, dropout_key: jax.Array | None = None
) -> jax.Array:
    """(alpha / r) * (x A^T) B^T, [..., D] -> [..., F], computed in x's dtype; no dropout without a key."""
    if dropout_key is not None and lora.dropout > 0:
        keep = jax.random.bernoulli(dropout_key, 1 - lora.dropout, x.shape)
        x = jnp.where(keep, x / (1 - lora.dropout), 0).astype(x.dtype)
    return linear(linear(x, pair["A"]) * lora.scale, pair["B"])


def merge(params: Mapping[str, Any], lora: Mapping[str, Any], config: LoraConfig) -> dict[str, Any]:
    """The params with W + (alpha / r) B A in the adapted kernels: float32 sum, one rounding to W's dtype."""

    @jax.jit
    def merged(kernel: jax.Array, pair: Mapping[str, jax.Array]) -> jax.Array:
        def one_layer(matrices: tuple[jax.Array, Mapping[str, jax.Array]]) -> jax.Array:
            kernel_FD, pair = matrices
            wide = statistics_dtype(kernel_FD.dtype)
            # Plain float32: the default of GPUs would multiply in TF32.
            update_FD = jnp.matmul(pair["B"].astype(wide), pair["A"].astype(wide), precision="highest")
            return (kernel_FD.astype(wide) + config.scale * update_FD).astype(kernel_FD.dtype)

        return jax.lax.map(one_layer, (kernel, pair))  # one layer at a time: float32 copies of one only

    layers = dict(params["layers"])
    layers.update({name: merged(layers[name], pair) for name, pair in lora["layers"].items()})
    return {**params, "layers": layers}
