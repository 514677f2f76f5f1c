"""The base that adapters are tuned on: never trained, so it may be narrower than what is computed in."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from kcx_jax.errors import UsageError
from kcx_jax.models.config import ModelConfig
from kcx_jax.models.parameters import KERNELS, param_shardings
from kcx_jax.ops.quantised import QUANTISED_DTYPES, Quantisation, Quantised, quantise

BaseDtype = Literal["bfloat16", "float32", "int8", "fp8"]
"""int8 and fp8 hold the layers' kernels in 8 bits, and the rest in the dtype of the computation."""


def base_formats(
    dtype: jax.typing.DTypeLike, base_dtype: str | None
) -> tuple[jnp.dtype, Quantisation | None]:
    """The dtype of a base's floating-point leaves, and how its kernels are quantised; None asks for `dtype`."""
    for quantisation in get_args(Quantisation):
        if base_dtype == quantisation:
            return jnp.dtype(dtype), quantisation
    return jnp.dtype(dtype if base_dtype is None else base_dtype), None


def quantisation_of(params: Mapping[str, Any]) -> Quantisation | None:
    """How the layers' kernels are held in 8 bits, if they are."""
    for leaf in params["layers"].values():
        if isinstance(leaf, Quantised):
            return next(name for name, dtype in QUANTISED_DTYPES.items() if leaf.values.dtype == dtype)
    return None


def frozen_base(
    params: Mapping[str, Any],
    config: ModelConfig,
    dtype: jax.typing.DTypeLike,
    base_dtype: str | None = None,
    mesh: Mesh | None = None,
) -> dict[str, Any]:
    """`params` as a frozen base of a computation in `dtype`, laid out over the mesh if there is one.

    A base that is in 8 bits already stays so; `UsageError` where another `base_dtype` is asked for.
    """
    held = quantisation_of(params)
    if held is not None and base_dtype not in (None, held):
        raise UsageError(
            f"the base was loaded in {held}, and {base_dtype} is asked for: load it with base_dtype={base_dtype!r}."
        )
    floating, quantisation = base_formats(dtype, held or base_dtype)
    if held is None and quantisation is not None:
        params = {**params, "layers": _quantised(params["layers"], quantisation)}

    def cast(leaf: Any) -> Any:
        return leaf if isinstance(leaf, Quantised) else leaf.astype(floating)

    cast_params = jax.tree.map(cast, dict(params), is_leaf=lambda leaf: isinstance(leaf, Quantised))
    if mesh is None:
        return cast_params
    return jax.tree.map(jax.device_put, cast_params, param_shardings(config, mesh, quantisation))


def _quantised(layers: Mapping[str, Any], quantisation: Quantisation) -> dict[str, Any]:
    narrow = QUANTISED_DTYPES[quantisation]

    @jax.jit
    def by_layer(kernel: jax.Array) -> Quantised:
        return jax.lax.map(lambda one: quantise(one, narrow), kernel)  # float32 copies of one layer only

    return {name: by_layer(leaf) if name in KERNELS else leaf for name, leaf in layers.items()}
