"""LoRA: y = W x + scale * B (A x), with W frozen (Hu et al. 2021).

A pair of adapter matrices lies in the collection under the name of its target: {"A": [r, in], "B": [out, r]}
(the order of PEFT files), with a leading layer axis in the scanned stack. A target is a kernel, or one of q_proj,
k_proj and v_proj: their part of the rows of W_pack.

Shapes: N = tokens flattened, D = inputs, F = outputs, r = rank.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp

from kcx_jax.errors import UsageError
from kcx_jax.ops.numerics import linear, statistics_dtype
from kcx_jax.ops.parameters import Parameter, uniform, zeros

SPLIT = ("q_proj", "k_proj", "v_proj")
FUSED = "W_pack"
TARGETS = (FUSED, *SPLIT, "o_proj", "gate_proj", "up_proj", "down_proj")

Pairs = Mapping[str, Any]  # target -> {"A", "B"}
Rows = Mapping[str, slice]  # q_proj, k_proj, v_proj -> rows of W_pack


@dataclass(frozen=True)
class LoraConfig:
    """Rank and alpha (of all targets but those named in `ranks` and `alphas`), dropout on the adapter's input, the
    targets. The scale is alpha / r, or alpha / sqrt(r) with `rslora` (Kalajdzievski 2023). `UsageError` if invalid.
    """

    rank: int = 32
    alpha: float = 64.0
    dropout: float = 0.0
    targets: tuple[str, ...] = (FUSED, "o_proj", "gate_proj", "up_proj", "down_proj")
    rslora: bool = False
    ranks: Mapping[str, int] | tuple[tuple[str, int], ...] = ()
    alphas: Mapping[str, float] | tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("ranks", "alphas"):  # as pairs, so that a config can be hashed
            object.__setattr__(self, name, tuple(sorted(dict(getattr(self, name)).items())))
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets or len(set(self.targets)) != len(self.targets):
            raise UsageError(
                f"LoRA targets must be a choice of {', '.join(TARGETS)}, each once; "
                f"found {list(self.targets)}."
            )
        if FUSED in self.targets and not set(self.targets).isdisjoint(SPLIT):
            raise UsageError(
                f"LoRA adapts {FUSED} or {', '.join(SPLIT)}; both at once would adapt rows twice."
            )
        for name in (*dict(self.ranks), *dict(self.alphas)):
            if name not in self.targets:
                raise UsageError(
                    f"LoRA gives {name} a rank or alpha of its own, but it is not among the targets."
                )
        for rank in (self.rank, *dict(self.ranks).values()):
            if rank < 1:
                raise UsageError(f"LoRA rank must be at least 1, found {rank}.")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"LoRA dropout must be in [0, 1), found {self.dropout}.")

    def rank_of(self, target: str) -> int:
        """The rank of one target's adapter."""
        return dict(self.ranks).get(target, self.rank)

    def alpha_of(self, target: str) -> float:
        """The alpha of one target's adapter."""
        return dict(self.alphas).get(target, self.alpha)

    def scale_of(self, target: str) -> float:
        """The factor on the output of one target's adapter."""
        rank = self.rank_of(target)
        return self.alpha_of(target) / (sqrt(rank) if self.rslora else rank)


def adapter_parameters(kernels: Mapping[str, Parameter], lora: LoraConfig) -> dict[str, dict[str, Parameter]]:
    """Descriptions of A and B for each target among `kernels` ([out, in] each).

    A is kaiming-uniform with a = sqrt(5), that is uniform within 1/sqrt(in), B is zero: the adapted model
    starts as its base.
    """
    described = {}
    for name in lora.targets:
        (out_size, in_size), (out_axis, in_axis) = kernels[name].shape, kernels[name].axes
        rank = lora.rank_of(name)
        described[name] = {
            "A": Parameter((rank, in_size), (None, in_axis), uniform(in_size**-0.5)),
            "B": Parameter((out_size, rank), (out_axis, None), zeros),
        }
    return described


def adapter_output(
    x: jax.Array,
    pair: Mapping[str, jax.Array],
    scale: float,
    dropout: float = 0.0,
    dropout_key: jax.Array | None = None,
) -> jax.Array:
    """scale * (x A^T) B^T, [..., D] -> [..., F], computed in x's dtype; no dropout without a key."""
    if dropout_key is not None and dropout > 0:
        keep = jax.random.bernoulli(dropout_key, 1 - dropout, x.shape)
        x = jnp.where(keep, x / (1 - dropout), 0).astype(x.dtype)
    return linear(linear(x, pair["A"]) * scale, pair["B"])


def targets_of(kernel: str, lora: LoraConfig) -> tuple[str, ...]:
    """The targets that adapt `kernel` or a part of its rows."""
    return tuple(name for name in lora.targets if name == kernel or (kernel == FUSED and name in SPLIT))


def merge(
    params: Mapping[str, Any], lora: Mapping[str, Any], config: LoraConfig, rows: Rows
) -> dict[str, Any]:
    """The params with W + scale * B A in the adapted kernels: float32 sum, one rounding to W's dtype.

    `rows` tells which rows of W_pack q_proj, k_proj and v_proj are (`ModelConfig.qkv_rows`). There is no way back
    but to load the base again: subtracting does not undo the rounding.
    """
    layers = dict(params["layers"])

    @partial(jax.jit, static_argnums=2)
    def merged(kernel: jax.Array, pairs: Pairs, name: str) -> jax.Array:
        # One layer at a time: float32 copies of one only.
        return jax.lax.map(lambda one: merge_layer(one[0], one[1], config, rows), (kernel, pairs))

    for name in layers:
        if targets := targets_of(name, config):
            layers[name] = merged(layers[name], {target: lora["layers"][target] for target in targets}, name)
    return {**params, "layers": layers}


def merge_layer(kernel_FD: jax.Array, pairs: Pairs, config: LoraConfig, rows: Rows) -> jax.Array:
    """`merge` for one kernel of one layer; `pairs` are those of its targets."""
    wide = statistics_dtype(kernel_FD.dtype)
    sum_FD = kernel_FD.astype(wide)
    for target, pair in pairs.items():
        # Plain float32: the default of GPUs would multiply in TF32.
        update = jnp.matmul(pair["B"].astype(wide), pair["A"].astype(wide), precision="highest")
        sum_FD = sum_FD.at[rows.get(target, slice(None))].add(config.scale_of(target) * update)
    return sum_FD.astype(kernel_FD.dtype)
