"""What a measurement says, as JSON and for the eye."""

import json
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcx_jax.files import atomic_write


@dataclass(frozen=True)
class Report:
    """Figures with units in their names; `ratio` is ours over the first peer's on the headline, higher is better."""

    settings: Mapping[str, Any]
    kcx: Mapping[str, Any]
    peers: Mapping[str, Mapping[str, Any]]
    ratio: float

    def to_json(self) -> dict[str, Any]:
        return {"settings": dict(self.settings), "kcx": dict(self.kcx), **self.peers, "ratio": self.ratio}

    def write(self, path: Path) -> None:
        """Write the JSON; `KcxError` where there is such a file already."""
        with atomic_write(path) as handle:
            handle.write(json.dumps(self.to_json(), indent=2) + "\n")


def rounds_in_turn(rounds: int, *sides: Callable[[], Mapping[str, float]]) -> list[list[Mapping[str, float]]]:
    """Every side measured `rounds` times in turn: the rounds of each."""
    measured: list[list[Mapping[str, float]]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, found in zip(sides, measured, strict=True):
            found.append(side())
    return measured


def in_turn(rounds: int, *sides: Callable[[], Mapping[str, float]]) -> list[dict[str, float]]:
    """Every side measured `rounds` times in turn; of each figure the median (of peaks the highest)."""
    return [
        {
            name: (max if "peak" in name else statistics.median)(one[name] for one in found)
            for name in found[0]
        }
        for found in rounds_in_turn(rounds, *sides)
    ]


def machine() -> dict[str, str]:
    """Versions that a figure depends on."""
    import jax

    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "devices": ", ".join(map(str, jax.devices())),
    }
