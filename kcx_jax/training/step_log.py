"""What is told of each step, without letting the device wait."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from kcx_jax.data import RowPlan, Shape, Step, TokenTree
from kcx_jax.training.metrics import Report, StepMetrics
from kcx_jax.training.not_finite import NotFinite
from kcx_jax.training.step import StepResult


class StepLog:
    """Reports the steps of one stage, called `name`, that learns from `trees` by `plan`.

    Metrics of a step are fetched after the next one is dispatched, so that the device never waits for them. `rate` is
    the learning rate by the stage's step, `steps` the number of all stages' steps, `share` that of the devices' peak
    that a planned step makes in a number of seconds.
    """

    def __init__(
        self,
        name: str,
        trees: Sequence[TokenTree],
        plan: RowPlan,
        rate: Callable[[int], Any],
        steps: int,
        share: Callable[[Step, float], float | None],
        reports: Sequence[Report],
    ):
        self.name, self.trees, self.plan = name, trees, plan
        self.rate, self.steps, self.share, self.reports = rate, steps, share, reports
        self.compiled: set[Shape] = set()
        self.compiling = False
        self.pending: tuple[int, int, StepResult, float] | None = None
        self.restart_clock()

    def restart_clock(self) -> None:
        """What went before is not charged to the next step."""
        self.clock = time.perf_counter()

    def before(self, shape: Shape) -> None:
        """The next call compiles when `shape` is new: no other step may be charged for that time."""
        self.compiling = shape not in self.compiled
        self.compiled.add(shape)
        if self.compiling:
            self.finish()
            self.restart_clock()

    def dispatched(self, step: int, total: int, result: StepResult) -> None:
        """`step` of the stage and `total` of the run, from 1, is under way; reports the one before."""
        self.finish()
        compile_seconds = time.perf_counter() - self.clock if self.compiling else 0.0
        if self.compiling:
            self.restart_clock()
        self.pending = step, total, result, compile_seconds

    def finish(self) -> None:
        """Report the step in flight, if any. Raises `NotFinite` when its loss or gradient is not finite."""
        self._report(dict)

    def evaluate(self, figures: Callable[[], dict[str, float | None]]) -> float:
        """Report the step in flight with `figures` of the state after it; returns that by which states are compared."""
        found = self._report(figures)
        self.restart_clock()
        return -found["validation_loss"] if found.get("score") is None else found["score"]

    def _report(self, figures: Callable[[], dict[str, float | None]]) -> dict[str, Any]:
        if self.pending is None:
            return {}
        step, total, result, compile_seconds = self.pending
        self.pending = None
        loss, norm = (float(x) for x in jax.device_get((result.loss, result.gradient_norm)))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NotFinite(
                f"the loss of step {total} (step {step} of {self.name}) is {loss}, its gradient's norm {norm}.",
                self.trees,
                self.plan.steps[step - 1].rows,
            )
        planned = self.plan.steps[step - 1]
        now = time.perf_counter()
        seconds = now - self.clock
        metrics = StepMetrics(
            stage=self.name,
            step=total,
            steps=self.steps,
            loss=loss,
            gradient_norm=norm,
            learning_rate=float(self.rate(step - 1)),
            targets=planned.targets,
            samples=planned.samples,
            tokens=planned.tokens,
            seconds=seconds,
            compile_seconds=compile_seconds,
            padding=1 - planned.tokens / (planned.shape.stream * len(planned.rows)),
            mfu=self.share(planned, seconds),
            **(found := figures()),
        )
        self.clock = now
        for report in self.reports:
            report(metrics)
        return found
