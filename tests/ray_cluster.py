"""A real Ray cluster of this machine, for tests."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KEY = "the-key-that-no-log-holds"
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="needs Ray: pip install 'kcx-jax[ray]' (ray 2.31 or later)",
)


@contextlib.contextmanager
def ray_cluster():
    """A cluster with two places: its address, and the folder of its logs. It alone has the key."""
    folder = Path(tempfile.mkdtemp(prefix="kcx-ray-"))  # Ray's sockets take no longer path
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "OPENAI_API_KEY": KEY,
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--port", str(port)]
    command += ["--num-cpus", "2", "--include-dashboard", "false", "--temp-dir", str(folder)]
    command += ["--node-ip-address", "127.0.0.1", "--object-store-memory", "80000000"]
    with (folder / "head.log").open("wb") as log:
        head = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while b"Ray runtime started" not in (folder / "head.log").read_bytes():
            assert head.poll() is None, (folder / "head.log").read_text()
            assert time.monotonic() < deadline, (folder / "head.log").read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", folder
    finally:
        head.terminate()
        head.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
