"""The memory of this process that no file stands behind: what loading really takes, page cache apart."""

import threading
from pathlib import Path
from typing import Self

_STATUS = Path("/proc/self/status")
_PERIOD = 0.005  # seconds


def anonymous_bytes() -> int:
    """Anonymous resident memory now, in bytes (Linux)."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon: memory is measured on Linux only.")


class AnonymousPeak:
    """`with AnonymousPeak() as peak: ...`, then `peak.bytes`: the highest growth seen in the block."""

    def __enter__(self) -> Self:
        self.bytes = 0
        self._start = anonymous_bytes()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()
        self._look()

    def _watch(self) -> None:
        while not self._ended.wait(_PERIOD):
            self._look()

    def _look(self) -> None:
        self.bytes = max(self.bytes, anonymous_bytes() - self._start)
