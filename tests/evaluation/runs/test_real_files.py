"""Every real file of a readable format, asked of a scripted chat model: twice with equal tables, and killed between."""

import json
import signal
import subprocess
import sys
import time

import pytest

from kcx_jax.evaluation.runs import evaluate, load_config
from kcx_jax.testing.llm_server import ScriptedServer

from .real_files import config_over, scripted_answers
from .test_run import PROGRAM, tables

LIMIT = 20


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes on a machine of its own
def test_all_of_them_twice_and_killed_in_the_middle(shared, tmp_path, monkeypatch):
    path = config_over(shared / "data", tmp_path / "killed", LIMIT)
    answers = scripted_answers(path)
    with ScriptedServer(answers) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        words = [sys.executable, "-c", PROGRAM, "evaluate", str(path)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while server.bill.answers < len(answers) // 2:
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        killed = evaluate(load_config(path))
        asked = server.bill.answers
        once = evaluate(load_config(config_over(shared / "data", tmp_path / "once", LIMIT)))
    assert tables(killed.folder) == tables(once.folder)
    rows = json.loads((once.folder / "table.json").read_text())["rows"]
    missing = {row["benchmark"] for row in rows if "not_run" in row["measured"]["scripted"]}
    assert missing == {"cluener-test.json"}  # whose labels are not public
    measured = [row["measured"]["scripted"] for row in rows if row["benchmark"] not in missing]
    assert asked <= sum(cell["answers"] for cell in measured) + 16  # what was under way when it was killed
    assert len(measured) > 80
    assert all(
        cell["predicted"] <= cell["gold"] and cell["f1"] > 0.3 for cell in measured if cell["gold"] > 10
    )
    assert (
        0.6 < sum(cell["f1"] for cell in measured) / len(measured) < 1
    )  # an item of every other answer is left out
