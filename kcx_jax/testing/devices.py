"""Fake devices: run a function in a fresh process whose CPU pretends to be several devices.

The number of devices is fixed when JAX's backend starts, so one test process cannot have both one and eight.
"""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHILD = """
import importlib.util, json, sys
path, name, arguments = sys.argv[1:]
spec = importlib.util.spec_from_file_location("on_fake_devices", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
result = getattr(module, name)(*json.loads(arguments))
print("result:" + json.dumps(result))
"""


def run_on_fake_devices(function: Callable[..., Any], *arguments: Any, count: int = 8) -> Any:
    """`function(*arguments)` on `count` fake CPU devices, in a process of its own.

    `function` is a module-level function of any source file; its file is imported there by path. Arguments
    and result travel as JSON. An error in the child becomes a `RuntimeError` with the child's output.
    """
    command = [sys.executable, "-c", _CHILD, inspect.getfile(function), function.__name__]
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(count),
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }
    child = subprocess.run(
        [*command, json.dumps(arguments)], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if child.returncode:
        output = child.stdout + child.stderr
        raise RuntimeError(f"{function.__name__} failed on {count} fake devices:\n{output}")
    last = child.stdout.rstrip().rsplit("\n", 1)[-1]
    return json.loads(last.removeprefix("result:"))
