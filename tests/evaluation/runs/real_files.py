"""A chat server that knows the answers to real files, some of them wrong; `python real_files.py CONFIG` starts one."""

import hashlib
import sys
import time
from pathlib import Path

import yaml

from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs import load_config
from kcx_jax.evaluation.runs.benchmark import load_benchmark
from kcx_jax.evaluation.runs.resolving import resolved
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import render_answer
from kcx_jax.testing.llm_server import ScriptedServer

CONFIG = Path(__file__).with_suffix(".yaml")


def config_over(corpora, out, limit, systems=None):
    """Write the config of all real files below `corpora`, and give its path."""
    values = yaml.safe_load(CONFIG.read_text(encoding="utf-8").replace("CORPORA", str(corpora)))
    values["results"] = str(out)
    for entry in values["benchmarks"]:
        entry["limit"] = limit
    if systems is not None:
        values["systems"] = systems
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return path


def scripted_answers(path):
    """Gold as answers by text and task, the last item left out of every other one."""
    config = resolved(load_config(path))
    answers = {}
    for settings in config.benchmarks:
        try:
            benchmark = load_benchmark(settings, None, config.seed)
        except KcxError:
            continue
        for task in benchmark.tasks:
            for record in benchmark.asked(task):
                items = answer_instances(record, benchmark.schema_for(task), task)
                if hashlib.blake2b(record.text.encode()).digest()[0] % 2:
                    items = items[:-1]
                answers.setdefault(record.text, {})[task] = render_answer(items)
    return answers


if __name__ == "__main__":
    with ScriptedServer(scripted_answers(sys.argv[1]), port=int(sys.argv[2])) as server:
        print(server.base_url, flush=True)
        while True:
            time.sleep(60)
