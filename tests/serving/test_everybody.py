"""Everybody at once, against the real engine: no wrong answer to anyone, nothing left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_server"


@pytest.mark.slow
def test_no_answer_is_wrong_and_nothing_stays_under_way(tmp_path):
    words = [sys.executable, str(SCRIPT), "--at-once", "100", "--total", "200"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 wrong") == 4
    assert "the server ended with 0" in done.stdout
