"""``kcx doctor``: what this machine has, and what to do about what is missing."""

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from kcx_jax import __version__
from kcx_jax.cli.extras import EXTRAS, how_to_install

_CORE = ("numpy", "openai", "pydantic", "PyYAML", "rich", "typer")
_GIB = 1024**3
_DRIVER_OF_EXTRA = {
    "cuda13": 580,
    "cuda12": 525,
}  # the oldest driver each CUDA major runs on (CUDA release notes)


@dataclass(frozen=True)
class Finding:
    """One line of the report. `broken` keeps plain runs from working; `absent` is something optional."""

    name: str
    found: str
    status: Literal["ok", "absent", "broken"] = "ok"
    advice: str = ""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what was found on this machine (Python, jax, devices, memory, extras) and how to get the rest.

    Exit code 0, or 1 when something that a plain run needs is broken.

    Example: kcx doctor --json
    """
    findings = list(examine())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print_table(findings)
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Look at everything, in the order it is printed."""
    yield _python()
    yield Finding("kcx_jax", f"{__version__} at {Path(__file__).parents[1]}")
    yield from (_distribution(name, None) for name in _CORE)
    for extra, names in EXTRAS.items():
        yield from (_distribution(name, extra) for name in names)
    driver = _nvidia_driver()
    yield driver
    if _version("jax") is not None:
        yield _jax_devices(driver)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("CPU", f"{cores} cores usable, {platform.machine()}")
    yield _memory()
    yield _disk()


def _python() -> Finding:
    return Finding("Python", f"{platform.python_version()} at {sys.executable}")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _distribution(name: str, extra: str | None) -> Finding:
    version = _version(name)
    if version is not None:
        return Finding(name, version)
    if extra is None:
        return Finding(name, "not installed", "broken", "Install kcx-jax again: pip install kcx-jax")
    return Finding(name, "not installed", "absent", how_to_install(extra))


def _nvidia_driver() -> Finding:
    """The GPUs as the driver sees them, whether or not jax can use them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding(
            "NVIDIA driver", "nvidia-smi not found", "absent", "Only needed to compute on NVIDIA GPUs."
        )
    query = [program, "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stdout", None) or error
        return Finding(
            "NVIDIA driver", f"{program} failed: {detail}", "absent", "Reinstall or load the driver."
        )
    return Finding("NVIDIA driver", "; ".join(done.stdout.splitlines()))


def _jax_devices(driver: Finding) -> Finding:
    # A diagnosis must not take the memory of a GPU that somebody is training on.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        jax = importlib.import_module("jax")
        backend = jax.default_backend()
        devices = jax.local_devices()
    except (ImportError, RuntimeError, AttributeError) as error:
        advice = "Install jax again: pip install --force-reinstall 'kcx-jax[model]'"
        return Finding("jax devices", f"jax does not start: {error}", "broken", advice)
    kinds = sorted({device.device_kind for device in devices})
    runtime = devices[0].client.platform_version.splitlines()[0]
    found = f"{backend}: {len(devices)} x {', '.join(kinds)} ({runtime})"
    if backend == "cpu" and driver.status == "ok":
        return Finding("jax devices", found, "absent", _cuda_advice(driver.found))
    return Finding("jax devices", found)


def _cuda_advice(driver: str) -> str:
    major = int(driver.partition(".")[0]) if driver.partition(".")[0].isdigit() else 0
    for extra, oldest in _DRIVER_OF_EXTRA.items():
        if major >= oldest:
            return f"There is a GPU that jax cannot use. {how_to_install(extra)}"
    return (
        "There is a GPU, but its driver is too old for jax's CUDA wheels: update the driver to 525 or newer."
    )


def _memory() -> Finding:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")  # a container may have less than the machine
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return Finding("memory", f"{total / _GIB:.1f} GiB")


def _disk() -> Finding:
    usage = shutil.disk_usage(Path.cwd())
    return Finding(
        "disk", f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.1f} GiB at {Path.cwd()}"
    )


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    marks = {"ok": Text("ok", "green"), "absent": Text("-", "yellow"), "broken": Text("broken", "bold red")}
    for finding in findings:
        table.add_row(marks[finding.status], Text(finding.name), Text(finding.found), Text(finding.advice))
    Console().print(table)
