"""The training runs behind the systems of a run, by the folders that `kcx train` left."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcx_jax.evaluation.runs.config import EvaluateConfig, ModelSystem

_METRICS = "metrics.jsonl"
_PARTS = ("adapter", "model", "chain", "checkpoints")


@dataclass(frozen=True)
class TrainingRun:
    """A run folder, the systems that came of it, and the lines of its metrics."""

    folder: Path
    systems: tuple[str, ...]
    lines: tuple[dict[str, Any], ...]

    def curve(self, name: str) -> list[tuple[float, float]]:
        """(step, figure) where a line has it: "loss", "validation_loss" or "score"."""
        return [(line["step"], line[name]) for line in self.lines if isinstance(line.get(name), int | float)]


def training_runs(config: EvaluateConfig) -> list[TrainingRun]:
    """The runs whose adapters or models the systems name, each once, as far as their folders are here."""
    found: dict[Path, list[str]] = {}
    for system in config.systems:
        if isinstance(system, ModelSystem):
            for part in (system.model, *system.adapters):
                folder = _run_folder(Path(part))
                if folder is not None and system.name not in found.setdefault(folder, []):
                    found[folder].append(system.name)
    runs = (TrainingRun(folder, tuple(names), tuple(_metrics(folder))) for folder, names in found.items())
    return [run for run in runs if run.lines]


def _run_folder(part: Path) -> Path | None:
    """The run folder that a part of it is in: RUN/adapter, RUN/model, RUN/chain/0-align, RUN/checkpoints/20/adapter."""
    if not part.exists():
        return None  # a name on the Hub
    part = part.resolve()
    inside = [each.parent for each in (part, *part.parents[:2]) if each.name in _PARTS]
    return next((run for run in (part, *inside) if (run / _METRICS).is_file()), None)


def _metrics(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics, an unfinished last one and what is no step of `kcx train` left out.

    Read here, as `kcx_jax.training` brings jax, and has to have every line.
    """
    for text in (folder / _METRICS).read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(text)
            if _is_step(line):
                yield line


def _is_step(line: Any) -> bool:
    known = isinstance(line, dict) and "stage" in line
    return known and all(isinstance(line.get(name), int | float) for name in ("step", "samples"))
