"""`jax.jit` for what runs a model, with what XLA has to be told on each platform."""

import math
from collections.abc import Callable
from functools import cached_property, update_wrapper, wraps
from typing import Any

import jax

_COMPILER_OPTIONS = {
    # CPUs multiply bfloat16 kernels as float32, and XLA would widen those of all layers before the loop over
    # them: 26 GB beside the 15 GB of Baichuan2-7B. Inside the loop it is one layer's at a time.
    "cpu": {"xla_disable_hlo_passes": "while-loop-invariant-code-motion"},
}
# A step of a model takes a thousand of the 65,530 memory maps that Linux allows a process (`vm.max_map_count`), three a
# kernel, and XLA for CPUs ends the process with a segmentation fault when none is left.
_MOST_COMPILED = {"cpu": 24}


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
        if self._compiled >= _MOST_COMPILED.get(jax.default_backend(), math.inf):
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
