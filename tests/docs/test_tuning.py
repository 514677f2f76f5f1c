"""The tutorial on tuning as it stands, on the real corpora, with the shipped base: tuning, answers, scores, export."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]
CORPORA = (
    "wikineural/en/val.first5000.conllu",
    "wikineural/en/test.first1000.conllu",
    "uner/zh_gsdsimp-ud-train.iob2.gz",
    "uner/zh_gsdsimp-ud-test.iob2",
)

# A taste of it: few texts, short trees of one shape, a few steps, short answers: what is left is compilation. An option
# that is there twice counts as it is there last.
LESS = {
    "--limit": ["--limit", "20"],
    "train": ["--set", "stages.0.steps=3", "--set", "branches=2", "--set", "shapes=1"],
    "extract": ["--max-new-tokens", "32"],
}


def tutorial_commands() -> list[list[str]]:
    page = (ROOT / "docs" / "tutorials" / "tuning.md").read_text(encoding="utf-8")
    shell = "\n".join(re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line) for line in shell.splitlines() if line]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_tutorial_runs_from_files_to_scores(shared, tmp_path):
    for name in CORPORA:
        (tmp_path / Path(name).name).symlink_to(shared / "data" / "ner" / name)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "demo-run" / "1-base").mkdir(parents=True)
    (tmp_path / "demo-run" / "1-base" / "model").symlink_to(ROOT / "kcx_jax" / "demo" / "base")
    scores = []
    for words in tutorial_commands():
        assert words[0] == "kcx"
        less = [option for name, options in LESS.items() if name in words for option in options]
        done = subprocess.run(
            [*KCX, *words[1:], *less], cwd=tmp_path, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        scores += [done.stdout] if words[1] == "score" else []
    for answers, gold in (("answers-en.jsonl", "test-en.jsonl"), ("answers-zh.jsonl", "test-zh.jsonl")):
        assert len((tmp_path / answers).read_text().splitlines()) == len(
            (tmp_path / gold).read_text().splitlines()
        )
    assert len(scores) == 2
    assert all("Person" in printed for printed in scores)
    assert (tmp_path / "runs" / "tutorial" / "adapter" / "adapter_model.safetensors").exists()
    assert (tmp_path / "exported" / "config.json").exists()
    assert (tmp_path / "adapter" / "adapter_config.json").exists()
