"""Rotary position embedding in the half-rotation form (channel i is paired with i + C/2).

Shapes: B = rows, T = tokens of a row, H = heads, C = channels of a head.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Linear:
    """All frequencies divided by `factor` (Chen et al. 2023)."""

    factor: float

    def scaled(self, frequencies: np.ndarray, theta: float) -> np.ndarray:
        return frequencies / self.factor

    @property
    def magnitude(self) -> float:
        return 1.0


@dataclass(frozen=True)
class Llama3:
    """Llama 3.1's: wavelengths beyond `original_positions / low_factor` are stretched by `factor`, those below
    `original_positions / high_factor` stay, and between them it goes smoothly from one to the other.
    """

    factor: float
    low_factor: float
    high_factor: float
    original_positions: int

    def scaled(self, frequencies: np.ndarray, theta: float) -> np.ndarray:
        turns = self.original_positions * frequencies / (2 * math.pi)
        kept = np.clip((turns - self.low_factor) / (self.high_factor - self.low_factor), 0, 1)
        return frequencies * (kept + (1 - kept) / self.factor)

    @property
    def magnitude(self) -> float:
        return 1.0


@dataclass(frozen=True)
class Yarn:
    """YaRN (Peng et al. 2023): channels that turn more than `beta_fast` times within the original positions stay,
    those below `beta_slow` times are stretched by `factor`, a ramp over the channels lies between; queries and
    keys grow by `magnitude`. The borders of the ramp are whole channels if `truncate`.
    """

    factor: float
    original_positions: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    magnitude: float = 1.0
    truncate: bool = True

    def scaled(self, frequencies: np.ndarray, theta: float) -> np.ndarray:
        channels = 2 * frequencies.size

        def border(turns: float) -> float:
            """The (fractional) channel that turns so often."""
            return (
                channels * math.log(self.original_positions / (turns * 2 * math.pi)) / (2 * math.log(theta))
            )

        low, high = border(self.beta_fast), border(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, channels - 1)
        width = high - low or 0.001  # the reference implementation's, where both borders meet
        stretched = np.clip((np.arange(frequencies.size) - low) / width, 0, 1)
        return frequencies * (1 - stretched + stretched / self.factor)


@dataclass(frozen=True)
class Rope:
    """How positions turn queries and keys: frequency theta^(-2i/C) of channel pair i, perhaps scaled."""

    theta: float = 10000.0
    scaling: Linear | Llama3 | Yarn | None = None

    def frequencies(self, head_dim: int) -> np.ndarray:
        """Angle per position of each channel pair, [C/2] in float64."""
        plain = self.theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
        return plain if self.scaling is None else self.scaling.scaled(plain, self.theta)

    @property
    def magnitude(self) -> float:
        """The factor on queries and keys."""
        return 1.0 if self.scaling is None else self.scaling.magnitude


class Rotation(NamedTuple):
    """Cosines and sines of the angles of each token, times the magnitude: [B, T, 1, C/2] in float32."""

    cos: jax.Array
    sin: jax.Array


def rotation(positions_BT: jax.Array, head_dim: int, rope: Rope, dtype: jnp.dtype) -> Rotation:
    """The rotation of each position, computed in `dtype` (float32 or wider)."""
    frequencies = jnp.asarray(rope.frequencies(head_dim), dtype)
    angles = positions_BT[:, :, None, None].astype(dtype) * frequencies
    return Rotation(jnp.cos(angles) * rope.magnitude, jnp.sin(angles) * rope.magnitude)


def rotate(x_BTHC: jax.Array, by: Rotation) -> jax.Array:
    """Rotate queries or keys in the rotation's dtype and round back to their own."""
    first, second = jnp.split(x_BTHC.astype(by.cos.dtype), 2, axis=-1)
    turned = jnp.concatenate([first * by.cos - second * by.sin, second * by.cos + first * by.sin], axis=-1)
    return turned.astype(x_BTHC.dtype)
