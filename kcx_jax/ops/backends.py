"""Who computes a tree's attention, what each can do, and which one is taken."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from kcx_jax.errors import UsageError
from kcx_jax.ops.blockwise import BlockwisePart
from kcx_jax.ops.cudnn import CudnnPart
from kcx_jax.ops.distance import Distance
from kcx_jax.ops.pallas_attention import PallasPart
from kcx_jax.ops.tree_attention import PartMaker

Backend = Literal["auto", "xla", "blockwise", "cudnn", "pallas"]
"""XLA's plain operations (the reference); the same block by block; cuDNN's fused kernels; kernels in Pallas; or the
first of `_AUTO` that can do what is asked."""


@dataclass(frozen=True)
class Capability:
    """What a backend can compute; None is no limit. `far_keys`: a window and ALiBi's bias."""

    nvidia: bool = False  # needs an NVIDIA GPU, of this compute capability at least
    least_capability: float = 0.0
    dtypes: tuple[str, ...] | None = None
    channels_multiple: int = 1
    channels_power_of_2: bool = False
    most_channels: dict[float, int] | None = None  # from this compute capability on
    far_keys: bool = True
    several_devices: bool = True


CAPABILITIES: dict[str, Capability] = {
    "xla": Capability(),
    "blockwise": Capability(),
    "cudnn": Capability(
        nvidia=True,
        least_capability=8.0,
        dtypes=("bfloat16", "float16"),
        channels_multiple=8,
        most_channels={8.0: 128, 9.0: 256},
        far_keys=False,
    ),
    # Triton takes blocks of powers of two; a mesh does not divide the kernels' arrays by itself.
    "pallas": Capability(
        nvidia=True,
        least_capability=8.0,
        dtypes=("bfloat16", "float16", "float32"),
        channels_multiple=16,
        channels_power_of_2=True,
        most_channels={8.0: 128},
        several_devices=False,
    ),
}
# By platform, as measured (docs/kernels.md); Pallas only by name, until it was on a GPU.
_AUTO = {"cpu": ("blockwise",), "gpu": ("cudnn", "xla")}


def refusal(backend: str, dtype: jax.typing.DTypeLike, channels: int, distance: Distance) -> str | None:
    """Why `backend` cannot compute this attention here, or None."""
    can = CAPABILITIES[backend]
    if not can.far_keys and distance != Distance():
        return "it is not used with a window or ALiBi's bias"
    if can.dtypes is not None and jnp.dtype(dtype).name not in can.dtypes:
        return f"it computes in {' and '.join(can.dtypes)}, not in {jnp.dtype(dtype)}"
    if can.nvidia and not _on_nvidia():
        return "it needs an NVIDIA GPU"
    capability = _compute_capability() if can.nvidia else 0.0
    limits = [most for least, most in (can.most_channels or {}).items() if capability >= least]
    whole = channels % can.channels_multiple == 0
    power = not can.channels_power_of_2 or channels & (channels - 1) == 0
    if (
        capability < can.least_capability
        or not whole
        or not power
        or channels > min(limits[-1:] or [channels])
    ):
        return f"heads of {channels} channels are not for this GPU (compute capability {capability})"
    if not can.several_devices and jax.sharding.get_abstract_mesh().size > 1:
        return "it runs on one device, and the mesh has several"
    return None


def choose(backend: Backend, dtype: jax.typing.DTypeLike, channels: int, distance: Distance) -> str:
    """The backend that computes it: the one asked for, or for "auto" the first that can.

    Raises `UsageError` where the one that is asked for cannot.
    """
    if backend == "auto":
        candidates = _AUTO.get(jax.default_backend(), ("xla",))
        return next(name for name in candidates if refusal(name, dtype, channels, distance) is None)
    if why_not := refusal(backend, dtype, channels, distance):
        raise UsageError(f"attention by {backend}: {why_not}. Choose xla, or auto.")
    return backend


def part_maker(backend: str, distance: Distance) -> PartMaker:
    """The parts of a backend other than "xla"."""
    if backend == "cudnn":
        return lambda length, position: CudnnPart(length)
    made: type[BlockwisePart] | type[PallasPart] = BlockwisePart if backend == "blockwise" else PallasPart
    return lambda length, position: made(length, position, distance)


def _on_nvidia() -> bool:
    return jax.default_backend() == "gpu" and "cuda" in jax.devices()[0].client.platform_version


def _compute_capability() -> float:
    return float(jax.devices()[0].compute_capability)
