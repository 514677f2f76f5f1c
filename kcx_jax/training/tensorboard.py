"""The figures of every step as TensorBoard's curves."""

import time
from pathlib import Path
from types import ModuleType

from kcx_jax.errors import UsageError
from kcx_jax.training.metrics import StepMetrics


class TensorBoardReport:
    """Writes event files into `folder`, a scalar for each figure of a step; curves go on after `last_step`, whatever
    an interrupted run wrote. `UsageError` without the extra.
    """

    def __init__(self, folder: Path, last_step: int = 0):
        self._proto, summary, writer = writer_modules()
        self._summary = summary.Summary
        self._writer = writer.EventFileWriter(str(folder))
        start = self._proto.SessionLog(status=self._proto.SessionLog.START)
        self._writer.add_event(
            self._proto.Event(wall_time=time.time(), step=last_step + 1, session_log=start)
        )

    def __call__(self, metrics: StepMetrics) -> None:
        numbers = {name: value for name, value in metrics.to_json().items() if isinstance(value, int | float)}
        step = numbers.pop("step")
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        told = self._summary(value=values)
        self._writer.add_event(self._proto.Event(wall_time=time.time(), step=step, summary=told))

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def writer_modules() -> tuple[ModuleType, ModuleType, ModuleType]:
    """TensorBoard's events, summaries and writer. `UsageError` where they are not installed."""
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import event_file_writer
    except ImportError as error:
        raise UsageError("tensorboard: true needs TensorBoard: pip install 'kcx-jax[tensorboard]'") from error
    return event_pb2, summary_pb2, event_file_writer
