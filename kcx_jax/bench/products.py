"""One product with a frozen kernel, forward and back to its input: how long it takes, and whether fp8 is fp8.

Shapes: N = tokens, D = inputs, F = outputs.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.ops import Quantisation, linear, quantise
from kcx_jax.ops.quantised import QUANTISED_DTYPES

_FP8_CALL = "__cublas$lt$matmul$f8"


def bench_product(
    tokens: int, outputs: int, inputs: int, dtype: str, kind: Quantisation | None, times: int = 20
) -> dict[str, float]:
    """Milliseconds of x W^T and of the gradient by x; `fp8_calls`: how many of the two run as cuBLAS' fp8 products."""
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = ((tokens, inputs), (tokens, outputs), (outputs, inputs))
    x, dy, exact = (jax.random.normal(key, shape, dtype) for key, shape in zip(keys, shapes, strict=True))
    kernel = exact if kind is None else quantise(exact, QUANTISED_DTYPES[kind])

    def both(x: jax.Array, dy: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, pull = jax.vjp(lambda x: linear(x, kernel), x)
        return y, pull(dy)[0]

    program = jax.jit(both).lower(x, dy, kernel).compile()
    y, dx = jax.block_until_ready(program(x, dy, kernel))
    start = time.perf_counter()
    for _ in range(times):
        last = program(x, dy, kernel)
    jax.block_until_ready(last)
    seconds = (time.perf_counter() - start) / times
    exact_y, exact_dx = x @ exact.T, dy @ exact
    return {
        "milliseconds": seconds * 1e3,
        "teraflops_per_second": 4 * tokens * outputs * inputs / seconds / 1e12,
        "fp8_calls": (program.as_text() or "").count(_FP8_CALL),
        "output_error": _error(y, exact_y),
        "gradient_error": _error(dx, exact_dx),
    }


def _error(found: jax.Array, exact: jax.Array) -> float:
    found, exact = (jnp.asarray(x, jnp.float32) for x in (found, exact))
    return float(np.asarray(jnp.linalg.norm(found - exact) / jnp.linalg.norm(exact)))
