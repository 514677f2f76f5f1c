"""`jax.jit` for what runs a model, with what XLA has to be told on each platform."""

import math
from collections.abc import Callable
from functools import cache, cached_property, update_wrapper, wraps
from pathlib import Path
from typing import Any

import jax

_COMPILER_OPTIONS = {
    # CPUs multiply bfloat16 kernels as float32, and XLA would widen those of all layers before the loop over
    # them: 26 GB beside the 15 GB of Baichuan2-7B. Inside the loop it is one layer's at a time.
    "cpu": {"xla_disable_hlo_passes": "while-loop-invariant-code-motion"},
}
# On CPUs a step of a model takes a thousand of the memory maps that Linux allows a process, three a kernel, and XLA
# ends the process with a segmentation fault when none is left. Its code takes memory too.
_MAPS_A_PROGRAM, _MOST_PROGRAMS = 2_700, 96
_MAPS_BY_DEFAULT = 65_530


class Program:
    """A jitted function; `options` are those of `jax.jit`. Its platform is looked up at the first call, not on import,
    because `jax.distributed.initialize` must come before that. On CPUs it forgets what it has compiled when that, for
    many shapes, has become too much for a process.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        self._function, self._options = function, options
        self._compiled = 0
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._jitted(*args, **kwargs)
        if self._compiled >= _most_compiled(jax.default_backend()):
            del self._jitted  # what it compiled goes with it
            self._compiled = 0
        return result

    def lower(self, *args: Any, **kwargs: Any) -> jax.stages.Lowered:
        """As `jax.jit`'s: ahead-of-time lowering for arguments, abstract ones included."""
        return self._jitted.lower(*args, **kwargs)

    @cached_property
    def _jitted(self) -> jax.stages.Wrapped:
        @wraps(self._function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            self._compiled += 1  # what is traced is compiled next
            return self._function(*args, **kwargs)

        compiler_options = _COMPILER_OPTIONS.get(jax.default_backend())
        return jax.jit(traced, compiler_options=compiler_options, **self._options)


@cache
def _most_compiled(platform: str) -> float:
    """How many programs of a function a process keeps: on CPUs as its memory maps allow, which all functions share."""
    if platform != "cpu":
        return math.inf
    setting = Path("/proc/sys/vm/max_map_count")
    maps = int(setting.read_text()) if setting.exists() else _MAPS_BY_DEFAULT
    return min(_MOST_PROGRAMS, max(1, maps // _MAPS_A_PROGRAM))
