"""What a run says while it trains: one JSON line a step, and a progress bar or plain lines."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write

METRICS_FILE = "metrics.jsonl"
_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class StepMetrics:
    """One optimiser step; `step` counts from 1 over all stages, `steps` is their total."""

    stage: str
    step: int
    steps: int
    loss: float  # mean over the step's targets, in nats
    gradient_norm: float  # before clipping
    learning_rate: float
    targets: int
    samples: int
    tokens: int  # real ones, over all processes
    seconds: float  # since the step before, without compiling and saving
    compile_seconds: float = 0.0  # before the first step of a shape
    padding: float = 0.0  # share of the tokens computed in the linear layers that is padding
    mfu: float | None = (
        None  # needed operations of these seconds, as a share of the devices' peak, where it is known
    )
    validation_loss: float | None = None  # after the step, where computed: mean over all held-out targets
    score: float | None = None  # after the step, where records were decoded: higher is better

    def to_json(self) -> dict:
        """The figures there are."""
        return {name: value for name, value in asdict(self).items() if value is not None}


Report = Callable[[StepMetrics], None]


@contextlib.contextmanager
def open_reports(run_dir: Path | None, last_step: int, report: Report | None) -> Iterator[list[Report]]:
    """Where metrics go: the run folder's file, and `report` or else the console."""
    with contextlib.ExitStack() as stack:
        reports: list[Report] = []
        if run_dir is not None:
            reports.append(stack.enter_context(contextlib.closing(MetricsFile(run_dir, last_step))))
        if report is None:
            report = stack.enter_context(contextlib.closing(ConsoleReport()))
        yield [*reports, report]


class MetricsFile:
    """`metrics.jsonl` of a run folder. Lines past `last_step`, written by an interrupted run, are dropped."""

    def __init__(self, run_dir: Path, last_step: int = 0):
        self.path = run_dir / METRICS_FILE
        kept = [line for line in read_metrics(run_dir) if line["step"] <= last_step]
        with atomic_write(self.path, overwrite=True) as handle:
            handle.writelines(json.dumps(line) + "\n" for line in kept)
        self._handle = self.path.open("a", encoding="utf-8", newline="\n")

    def __call__(self, metrics: StepMetrics) -> None:
        try:
            self._handle.write(json.dumps(metrics.to_json()) + "\n")
            self._handle.flush()
        except OSError as error:
            raise KcxError(f"cannot write {self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        self._handle.close()


def read_metrics(run_dir: Path) -> list[dict]:
    """The lines of a run's `metrics.jsonl`, an unfinished last one left out; empty where there is none."""
    path = Path(run_dir) / METRICS_FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


class ConsoleReport:
    """A bar on a terminal; elsewhere a line every ten seconds. Goes to stderr."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._progress: Progress | None = None
        self._last_line = -_SECONDS_BETWEEN_LINES
        self._sums = dict.fromkeys(("steps", "seconds", "samples", "tokens", "needed"), 0.0)

    def __call__(self, metrics: StepMetrics) -> None:
        # Exponential forgetting: the rates follow the last twenty steps or so.
        for name, value in self._sums.items():
            self._sums[name] = 0.95 * value
        self._sums["steps"] += 1
        self._sums["needed"] += (metrics.mfu or 0.0) * metrics.seconds
        for name in ("seconds", "samples", "tokens"):
            self._sums[name] += getattr(metrics, name)
        rate = {name: value / self._sums["seconds"] for name, value in self._sums.items()}
        text = f"loss {metrics.loss:.3f}  {rate['samples']:.1f} samples/s  {rate['tokens']:,.0f} tokens/s"
        text += f"  {metrics.padding:.0%} padding"
        if metrics.mfu is not None:
            text += f"  MFU {rate['needed']:.0%}"
        if metrics.validation_loss is not None:
            text += f"  held out: loss {metrics.validation_loss:.3f}"
            text += "" if metrics.score is None else f", score {metrics.score:.3f}"
        due = time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES
        if self._console.is_terminal:
            self._draw(metrics, text)
        elif due or metrics.step == metrics.steps or metrics.validation_loss is not None:
            self._last_line = time.monotonic()
            left = timedelta(seconds=round((metrics.steps - metrics.step) / rate["steps"]))
            line = f"{metrics.stage}: step {metrics.step} of {metrics.steps}  {text}  {left} left"
            print(line, file=sys.stderr, flush=True)

    def _draw(self, metrics: StepMetrics, text: str) -> None:
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._progress.start()
            self._task = self._progress.add_task(metrics.stage, total=metrics.steps, text=text)
        self._progress.update(self._task, completed=metrics.step, description=metrics.stage, text=text)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
