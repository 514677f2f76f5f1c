"""What a machine does to a run: damaged files, a full disk, signals, and the plug pulled at any moment."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from kcx_jax.checkpoints import RunStore
from kcx_jax.errors import KcxError
from kcx_jax.testing.processes import run_in_processes
from kcx_jax.testing.tiny import tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import Stage, read_metrics, train_trees

SETTINGS = tiny_settings(save_every=2, shapes=1)
STAGES = [Stage("one", tiny_trees(), steps=6)]


def trained(run_dir, **options):
    options = {"report": lambda metrics: None} | options
    return train_trees(tiny_model(), STAGES, SETTINGS, run_dir, **options)


def sums(result):
    """Two numbers for each leaf, exact."""
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(result.trained)]
    return [[float(leaf.sum()), float(np.abs(leaf).sum())] for leaf in leaves]


@pytest.fixture(scope="module")
def undisturbed():
    return sums(trained(None))


def largest_file(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def test_a_damaged_newest_checkpoint_is_passed_over_and_told(tmp_path, undisturbed):
    trained(tmp_path)
    path = largest_file(tmp_path / "checkpoints" / "6" / "state")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    told = []
    resumed = trained(tmp_path, resume=True, say=told.append)
    (line,) = told
    assert "step 6 of" in line
    assert line.endswith("Going on from step 4.")
    assert [metrics.step for metrics in resumed.history] == [5, 6]
    assert sums(resumed) == undisturbed
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]
    told.clear()
    trained(tmp_path, resume=True, say=told.append)
    assert told == []


ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from kcx_jax.errors import KcxError
from kcx_jax.testing.tiny import tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import Stage, train_trees

def fill(metrics):
    if metrics.step == 5:  # no file may grow beyond it
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, resource.RLIM_INFINITY))

stages = [Stage("one", tiny_trees(), steps=6)]
try:
    train_trees(tiny_model(), stages, tiny_settings(save_every=2, shapes=1), Path(sys.argv[1]), report=fill)
except KcxError as error:
    print(f"kcx: {error}", file=sys.stderr)
else:
    sys.exit("it was written all the same")
"""


def test_a_disk_that_fills_up_stops_the_run_and_leaves_what_is_whole(tmp_path, undisturbed):
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, tmp_path], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    slow = "WARNING:absl:Waiting for previous save to complete"  # Orbax's advice on a busy machine
    told = [line for line in done.stderr.splitlines() if not line.startswith(slow)]
    assert len(told) == 1, done.stderr
    assert told[0].startswith("kcx: cannot ")
    with RunStore(tmp_path / "checkpoints") as store:
        written = store.steps()
    assert written in ([2], [2, 4])  # 4 was under way
    resumed = trained(tmp_path, resume=True)
    assert [metrics.step for metrics in resumed.history] == list(range(written[-1] + 1, 7))
    assert sums(resumed) == undisturbed


def trained_by_two(run_dir, told=None):
    """Two processes train, from where they were; `told`, which has to be the first, is told to stop behind step 2.

    Returns the steps whose checkpoints are kept, and at the end of the run its weights and the steps of this call.
    """

    def report(metrics):
        if metrics.step == 2 and jax.process_index() == told:
            signal.raise_signal(signal.SIGTERM)

    stages = [Stage("one", tiny_trees(samples=40), steps=8)]
    settings = tiny_settings(save_every=100, shapes=1)
    ended = None
    try:
        result = train_trees(tiny_model(), stages, settings, Path(run_dir), report=report, resume=True)
        ended = [sums(result), [metrics.step for metrics in result.history]]
    except KeyboardInterrupt:
        pass
    with RunStore(Path(run_dir) / "checkpoints") as store:
        return store.steps(), ended


@pytest.mark.multiprocess
def test_a_signal_to_one_process_stops_all_at_one_step_and_they_go_on_from_there(tmp_path):
    (first, ended), second = run_in_processes(trained_by_two, str(tmp_path / "cut"), 0)
    assert [first, ended] == second
    assert first[0] in (3, 4)
    assert ended is None
    (_, resumed), other = run_in_processes(trained_by_two, str(tmp_path / "cut"))
    assert other[1] == resumed
    (_, whole), _ = run_in_processes(trained_by_two, str(tmp_path / "whole"))
    assert resumed[0] == whole[0]
    assert resumed[1] == list(range(first[-1] + 1, 9))
    assert [line["step"] for line in read_metrics(tmp_path / "cut")] == list(range(1, 9))


KILLED = """
import sys
from pathlib import Path
import jax
from kcx_jax.testing.tiny import tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import Stage, train_trees

settings = tiny_settings(save_every=3, shapes=1)
stages = [Stage(name, tiny_trees(n), steps=150) for n, name in enumerate(("one", "two"))]
result = train_trees(
    tiny_model(), stages, settings, Path(sys.argv[1]), resume=True,
    report=lambda metrics: print(metrics.step, flush=True),
)
weights = b"".join(bytes(leaf) for leaf in map(jax.device_get, jax.tree.leaves(result.trained)))
import hashlib
print(hashlib.sha256(weights).hexdigest(), flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_twenty_moments_a_run_ends_with_the_same_bits(tmp_path):
    def start(name):
        command = [sys.executable, "-c", KILLED, tmp_path / name]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    undisturbed, errors = start("whole").communicate(timeout=300)
    assert undisturbed.split()[:-1] == [str(step) for step in range(1, 301)], errors
    moments = random.Random(0)
    reached = []
    for _ in range(20):
        child = start("killed")
        for _ in range(moments.randint(1, 16)):
            step = child.stdout.readline()
            assert step, child.stderr.read()
        time.sleep(moments.uniform(0, 0.1))
        child.kill()
        child.communicate()
        reached.append(int(step))
    assert len(set(reached)) > 10  # it did go on between the kills
    assert max(reached) < 300
    ended, errors = start("killed").communicate(timeout=300)
    assert ended.split()[-1] == undisturbed.split()[-1], errors
    steps = [line["step"] for line in read_metrics(tmp_path / "killed")]
    assert steps == list(range(1, 301))


def test_a_run_with_no_whole_checkpoint_is_refused(tmp_path):
    trained(tmp_path)
    for step in (tmp_path / "checkpoints").iterdir():
        largest_file(step / "state").write_bytes(b"")
    with pytest.raises(KcxError, match=r"no step in .* is whole"):
        trained(tmp_path, resume=True)
