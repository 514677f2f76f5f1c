"""`jax.jit` for what runs a model, with what XLA has to be told on each platform."""

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any

import jax

_COMPILER_OPTIONS = {
    # CPUs multiply bfloat16 kernels as float32, and XLA would widen those of all layers before the loop over
    # them: 26 GB beside the 15 GB of Baichuan2-7B. Inside the loop it is one layer's at a time.
    "cpu": {"xla_disable_hlo_passes": "while-loop-invariant-code-motion"},
}


class Program:
    """A jitted function; `options` are those of `jax.jit`. Its platform is looked up at the first call, not on import,
    because `jax.distributed.initialize` must come before that.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        self._function, self._options = function, options
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._jitted(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> jax.stages.Lowered:
        """As `jax.jit`'s: ahead-of-time lowering for arguments, abstract ones included."""
        return self._jitted.lower(*args, **kwargs)

    @cached_property
    def _jitted(self) -> jax.stages.Wrapped:
        compiler_options = _COMPILER_OPTIONS.get(jax.default_backend())
        return jax.jit(self._function, compiler_options=compiler_options, **self._options)
