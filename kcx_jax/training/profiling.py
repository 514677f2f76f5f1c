"""A window of steps under JAX's profiler, for TensorBoard, XProf or Perfetto."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from kcx_jax.training.config import ProfileSettings


class ProfileWindow:
    """Traces steps `start` to `start + steps - 1` of a run into `folder`; nothing without settings or folder."""

    def __init__(self, settings: "ProfileSettings | None", folder: Path | None):
        self.settings, self.folder = settings, folder
        self._tracing = False

    def before(self, step: int) -> None:
        """Call it before `step`, from 1, is dispatched."""
        if self.settings and self.folder and step == self.settings.start:
            jax.profiler.start_trace(self.folder)
            self._tracing = True

    def after(self, step: int, result: Any) -> None:
        """Call it when `step` is dispatched: the last one of the window is waited for."""
        if self._tracing and self.settings and step >= self.settings.start + self.settings.steps - 1:
            jax.block_until_ready(result)
            self.close()

    def close(self) -> None:
        """End a window that the run ends in."""
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False
