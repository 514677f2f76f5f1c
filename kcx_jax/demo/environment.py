"""What a run was made with: versions and devices, as the report shows them."""

import os
import platform
from importlib import metadata
from typing import Any

PACKAGES = ("kcx-jax", "jax", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "openai")


def environment() -> dict[str, Any]:
    """Python, packages, devices and cores."""
    import jax

    versions = {name: metadata.version(name) for name in PACKAGES}
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    return {"python": platform.python_version(), **versions, "devices": devices, "cores": os.cpu_count()}
