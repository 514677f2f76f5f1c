"""`summary.json`: what a run folder holds, and how it came about."""

import contextlib
import json
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from kcx_jax.checkpoints.weights import read_json
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write
from kcx_jax.training.config import TrainConfig
from kcx_jax.training.metrics import read_metrics
from kcx_jax.training.packed import source_digests

SUMMARY_FILE = "summary.json"
_PACKAGES = ("kcx-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
_CONTENTS = {
    "config.yaml": "the resolved config; kcx train with it and --resume goes on",
    "metrics.jsonl": "one line a step, those of evaluations with what was held out",
    "checkpoints": "steps to go on from: every adapter of the chain, the optimiser, the position in the data",
    "adapter": "the result, in PEFT's layout",
    "chain": "the adapters that the stages trained one upon another; adapter is their sum",
    "model": "the result, in Baichuan2's layout",
    "tensorboard": "curves: tensorboard --logdir tensorboard",
    "profile": "a trace of the profiled steps, for TensorBoard or XProf",
    "not_finite.json": "the samples of the step whose loss was not finite",
}


@contextlib.contextmanager
def kept_summary(run_dir: Path, config: TrainConfig, base: dict[str, str]) -> Iterator[None]:
    """Writes it as the block begins and as it ends, with how it ended; a resumed run writes its own."""
    told = _told(config, base)
    _write(run_dir, "running", told)
    try:
        yield
    except (KeyboardInterrupt, KcxError) as error:
        status = f"failed: {error}" if isinstance(error, KcxError) else "stopped; --resume goes on"
        with contextlib.suppress(KcxError):  # on a full disk, that is the message
            _write(run_dir, status, told | {"ended": _now()})
        raise
    _write(run_dir, "done", told | {"ended": _now()})


def refuse_other_data(run_dir: Path, config: TrainConfig) -> None:
    """Raise `UsageError` where a corpus or schema is another one than the summary in the folder, if any, tells of."""
    path = run_dir / SUMMARY_FILE
    if not path.exists():
        return
    began, now = read_json(path).get("data", {}), _data(config)
    if changed := [name for name in now if began.get(name, now[name]) != now[name]]:
        raise UsageError(
            f"{', '.join(changed)} changed since the run in {run_dir} began. Bring back what it was, or choose "
            "another run_dir."
        )


def _data(config: TrainConfig) -> dict[str, dict[str, str]]:
    return {path: {"sha256": sha256} for path, sha256 in source_digests(config).items()}


def _told(config: TrainConfig, base: dict[str, str]) -> dict[str, Any]:
    """What is known when a run starts."""
    return {
        "started": _now(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "devices": {
            "kind": jax.devices()[0].device_kind,
            "count": jax.device_count(),
            "processes": jax.process_count(),
        },
        "base": {"name": config.model, "fingerprint": base},
        "data": _data(config),
        "config": config.model_dump(mode="json", by_alias=True),
    }


def _write(run_dir: Path, status: str, told: dict[str, Any]) -> None:
    content = {
        "status": status,
        **told,
        "figures": figures(read_metrics(run_dir)),
        "contents": {name: what for name, what in _CONTENTS.items() if (run_dir / name).exists()},
    }
    with atomic_write(run_dir / SUMMARY_FILE, overwrite=True) as handle:
        json.dump(content, handle, ensure_ascii=False, indent=1)
        handle.write("\n")


def figures(lines: list[dict]) -> dict[str, Any]:
    """What the lines of `metrics.jsonl` come to, stage by stage."""
    stages: dict[str, list[dict]] = {}
    for line in lines:
        stages.setdefault(line["stage"], []).append(line)
    return {name: _stage_figures(own) for name, own in stages.items()}


def _stage_figures(lines: list[dict]) -> dict[str, Any]:
    seconds = sum(line["seconds"] for line in lines)
    samples, tokens = (sum(line[count] for line in lines) for count in ("samples", "tokens"))
    found: dict[str, Any] = {
        "steps": len(lines),
        "samples": samples,
        "tokens": tokens,
        "seconds": seconds,
        "compile_seconds": sum(line["compile_seconds"] for line in lines),
        "samples_per_second": samples / seconds,
        "tokens_per_second": tokens / seconds,
        "first_loss": lines[0]["loss"],
        "last_loss": lines[-1]["loss"],
    }
    if evaluated := [line for line in lines if "validation_loss" in line]:
        best = max(evaluated, key=lambda line: line.get("score", -line["validation_loss"]))
        found["best_evaluation"] = {
            name: best[name] for name in ("step", "validation_loss", "score") if name in best
        }
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
