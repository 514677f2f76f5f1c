"""Named points at which a test lets the process die, as `kill -9` would: nothing is closed, nothing flushed."""

import os

VARIABLE = "KCX_CRASH_AT"
POINTS = (
    *("before_intent", "after_intent", "after_receive", "before_verdict", "during_export"),
    *("batch_creating", "batch_uploaded", "batch_created"),
)


def crash_point(name: str) -> None:
    """Die here when the environment's KCX_CRASH_AT is `name` or `name:N` (at the N-th time)."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    point, _, number = wanted.partition(":")
    if point == name:
        _passed[name] = _passed.get(name, 0) + 1
        if _passed[name] >= int(number or 1):
            os._exit(137)


_passed: dict[str, int] = {}
