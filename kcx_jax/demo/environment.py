"""What a run is made with: devices, and the versions that the report shows."""

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

PACKAGES = ("kcx-jax", "jax", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "openai")


def use_cores(rows: int) -> None:
    """Without a GPU, take as many cores for devices as a step has `rows`: they work side by side.

    To be called before anything is computed.
    """
    import jax

    jax.config.update("jax_num_cpu_devices", max(1, min(rows, os.cpu_count() or 1)))


@contextmanager
def compiled_once() -> Iterator[None]:
    """Within the block the same program is compiled once, though two systems are tuned and three answer.

    What was compiled is not kept: on another processor it might not run.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="kcx-compiled-") as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        try:
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", None)


def environment() -> dict[str, Any]:
    """Python, packages, devices and cores."""
    import jax

    versions = {name: metadata.version(name) for name in PACKAGES}
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    return {"python": platform.python_version(), **versions, "devices": devices, "cores": os.cpu_count()}
