"""Compiled programs are kept between processes: the second one need not compile."""

import os
from pathlib import Path

import jax


def keep_compiled() -> None:
    """Let JAX keep what takes a second or more to compile, unless it was told where to, or not to.

    In kcx_jax/compiled of $XDG_CACHE_HOME or ~/.cache; nothing is kept where that cannot be written.
    """
    told = jax.config.values["jax_compilation_cache_dir"]
    if told is not None or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(home).expanduser() / "kcx_jax" / "compiled"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # programs of others would be run as ours
    except (OSError, RuntimeError):  # a place that is not ours, or no home
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
