"""scripts/train.sbatch and train.jobset.yaml call what there is, and the processes they start train as one does."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.cli.app import app
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.training import read_metrics
from kcx_jax.training.processes import ADDRESS, COUNT, INDEX, join_processes

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SBATCH, JOBSET = SCRIPTS / "train.sbatch", SCRIPTS / "train.jobset.yaml"
KCX = f"#!/usr/bin/env bash\nexec {sys.executable} -c 'from kcx_jax.cli import main; main()' \"$@\"\n"

# The tasks of one node, as Slurm's own starts them; its options come before the program.
SRUN = """#!/usr/bin/env bash
while [[ "$1" == --* ]]; do shift; done
tasks=()
for ((task = 0; task < SLURM_NTASKS; task++)); do
    SLURM_STEP_NODELIST=localhost SLURM_PROCID=$task SLURM_LOCALID=$task "$@" & tasks+=($!)
done
for task in "${tasks[@]}"; do wait "$task" || exit 1; done
"""


def run(folder, values, tasks):
    """The run of a config through the batch script in so many tasks, or in one process without it; what it said."""
    folder.mkdir(exist_ok=True)
    for name, text in (("srun", SRUN), ("kcx", KCX)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(values | {"rows_per_step": 4, "run_dir": str(folder / "run")}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": str(SCRIPTS.parent),
        "KCX": str(folder / "kcx"),
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COORDINATOR_PORT": str(port),
        "SLURM_JOB_ID": "1",
        "SLURM_NTASKS": str(tasks),
    }
    command = ["bash", SBATCH, config] if tasks else [folder / "kcx", "train", config]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.multiprocess
def test_two_and_four_tasks_of_the_batch_script_train_as_one_process(plain_config, tmp_path):
    run(tmp_path / "0", plain_config, 0)
    alone = read_metrics(tmp_path / "0" / "run")
    base = plain_config["model"]
    for tasks in (2, 4):
        said = run(tmp_path / str(tasks), plain_config, tasks)
        folder = tmp_path / str(tasks) / "run"
        assert json.loads((folder / "summary.json").read_text())["devices"]["processes"] == tasks
        lines = read_metrics(folder)
        for name in ("stage", "step", "samples", "tokens", "targets", "padding"):
            assert [line[name] for line in lines] == [line[name] for line in alone]
        assert_allclose([line["loss"] for line in lines], [line["loss"] for line in alone], rtol=1e-5)
        adapters = (
            load_pretrained(base, run / "adapter", dtype="float32").lora
            for run in (folder, tmp_path / "0" / "run")
        )
        for ours, theirs in zip(*map(jax.tree.leaves, adapters), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
        assert said.count("samples for ner, re") == 1  # one process speaks for all
        assert not list(folder.rglob("*.partial"))
    run(tmp_path / "4", plain_config, 4)  # the same command again: nothing is left to do
    assert read_metrics(tmp_path / "4" / "run") == lines


def test_the_launchers_call_kcx_train_with_options_that_exist():
    script = SBATCH.read_text()
    assert subprocess.run(["bash", "-n", SBATCH]).returncode == 0
    (pod,) = pods()
    words = pod["containers"][0]["command"]
    assert words[:2] == ["kcx", "train"]
    options = {*re.findall(r"--[a-z]+", script[script.index('" train ') :]), *words[3:]}
    assert options == {"--distributed", "--resume"}
    told = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output
    assert all(option in told for option in options)


def pods():
    return [
        job["template"]["spec"]["template"]["spec"]
        for job in yaml.safe_load(JOBSET.read_text())["spec"]["replicatedJobs"]
    ]


def test_the_pods_of_a_jobset_know_their_coordinator_and_their_number(monkeypatch):
    jobset = yaml.safe_load(JOBSET.read_text())
    (job,) = jobset["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    variables = {each["name"]: each for each in pods()[0]["containers"][0]["env"]}
    assert variables.keys() == {ADDRESS, COUNT, INDEX}
    name = jobset["metadata"]["name"]
    host, port = variables[ADDRESS]["value"].split(":")
    assert host == f"{name}-{job['name']}-0-0.{name}"  # as JobSet names the first pod's host
    assert int(port) == pods()[0]["containers"][0]["ports"][0]["containerPort"]
    assert spec["parallelism"] == spec["completions"] == int(variables[COUNT]["value"])
    assert "job-completion-index" in variables[INDEX]["valueFrom"]["fieldRef"]["fieldPath"]
    called = joined(
        monkeypatch, **{ADDRESS: variables[ADDRESS]["value"], COUNT: variables[COUNT]["value"], INDEX: "1"}
    )
    assert called == (variables[ADDRESS]["value"], 2, 1)


def joined(monkeypatch, error=None, **environment):
    """What JAX is called with."""
    called = []

    def initialize(*arguments, **options):
        if error:
            raise error
        called.extend(arguments)

    for name in (ADDRESS, COUNT, INDEX):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    join_processes()
    return tuple(called)


@pytest.mark.parametrize(
    ("environment", "wrong"),
    [
        ({COUNT: "2", INDEX: "0"}, f"without {ADDRESS}"),
        ({ADDRESS: "host:1", INDEX: "0"}, f"without {COUNT}"),
        ({ADDRESS: "host:1", COUNT: "2", INDEX: "2"}, "PROCESS_ID='2'"),
        ({ADDRESS: "host:1", COUNT: "two", INDEX: "0"}, "NUM_PROCESSES='two'"),
        ({ADDRESS: "host", COUNT: "2", INDEX: "0"}, "host:port"),
    ],
)
def test_processes_that_cannot_be_told_apart_are_refused(monkeypatch, environment, wrong):
    with pytest.raises(UsageError, match=wrong):
        joined(monkeypatch, **environment)


def test_without_a_cluster_the_message_says_how_to_start(monkeypatch):
    assert joined(monkeypatch) == ()  # left to JAX's own detection
    with pytest.raises(UsageError, match=f"srun.*{ADDRESS}"):
        joined(monkeypatch, ValueError("coordinator_address should be defined."))
    with pytest.raises(KcxError, match="did not find each other: timed out"):
        joined(monkeypatch, RuntimeError("timed out"))
    refused = CliRunner().invoke(app, ["train", "config.yaml", "--plan", "--distributed"])
    assert isinstance(refused.exception, UsageError)
