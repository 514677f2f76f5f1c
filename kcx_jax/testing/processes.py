"""Several processes of one JAX program on this machine, each with one CPU device, joined over gloo."""

import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_CHILD = """
import importlib.util, json, sys
import jax
path, name, arguments, address, count, index = sys.argv[1:]
jax.distributed.initialize(address, int(count), int(index))
spec = importlib.util.spec_from_file_location("in_processes", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
result = getattr(module, name)(*json.loads(arguments))
print("result:" + json.dumps(result))
"""


def run_in_processes(function: Callable[..., Any], *arguments: Any, count: int = 2) -> list[Any]:
    """`function(*arguments)` in `count` processes joined by `jax.distributed`; the result of each, in order.

    `function` is a module-level function of any source file; its file is imported there by path. Arguments and
    results travel as JSON. An error in any process is raised here as `RuntimeError` with that process's output.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }
    command = [sys.executable, "-c", _CHILD, inspect.getfile(function), function.__name__]
    children = [
        subprocess.Popen(
            [*command, json.dumps(arguments), address, str(count), str(index)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        for index in range(count)
    ]
    results = []
    try:
        # All at once: a process whose output nobody reads stands still, and the others wait for it.
        with ThreadPoolExecutor(count) as readers:
            outputs = list(readers.map(lambda child: child.communicate()[0], children))
        for index, (child, output) in enumerate(zip(children, outputs, strict=True)):
            if child.returncode:
                raise RuntimeError(f"{function.__name__} failed in process {index} of {count}:\n{output}")
            lines = [line for line in output.splitlines() if line.startswith("result:")]
            results.append(json.loads(lines[-1].removeprefix("result:")))
    finally:
        for child in children:  # when one failed, the others wait for it for ever
            child.kill()
    return results
