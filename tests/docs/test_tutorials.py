"""Quickstart and tutorials, from top to bottom: their files are written, their snippets and commands run, and what they
show is what is printed.
"""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kcx_jax.corpora import Mention, ParallelRecord, Record, read_parallel, write_records
from kcx_jax.testing.llm_server import ScriptedServer

DOCS = Path(__file__).resolve().parents[2] / "docs"
KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]
ENDPOINT = "http://localhost:8000/v1"
# Commands with the reader's own checkpoint, or of minutes: test_snippets.py looks at their options.
NOT_RUN = ("my-model", "model=baichuan2", "kcx bench")
MARIE = "Marie Curie moved to Paris in 1891."
ANSWERS = {
    "Ada Lovelace was born in London.": {
        "ner": '[Person("Ada Lovelace"), City("London")]',
        "re": '[BirthPlace(Person("Ada Lovelace"), City("London"))]',
    },
    "李白生于碎叶城。": {"ner": '[Person("李白"), City("碎叶城")]'},
    MARIE: {
        "ner": '[Person("Marie Curie"), City("Paris")]',
        "eae": '[Move("moved", mover=[Person("Marie Curie")], to=[City("Paris")])]',
    },
    "Nobody came.": {"ner": '[Person("Bob")]'},
}


class Reader:
    """Somebody who does what a page says, in a folder of their own."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack):
        self.folder, self.stack, self.printed = folder, stack, ""
        self.commands = 0

    def do(self, language: str, content: str) -> None:
        name = re.match(r"# (\S+\.\w+)\n", content)
        if language == "python" and name:
            (self.folder / name[1]).write_text(content, encoding="utf-8")
        elif language == "python":
            self._run([sys.executable, "-X", "utf8", "-c", self._here(content)])
        elif language == "bash":
            for line in content.replace("\\\n", " ").splitlines():
                if line.startswith("kcx ") and not any(word in line for word in NOT_RUN):
                    self._run([*KCX, *shlex.split(self._here(line))[1:]])
                    self.commands += 1
        elif language == "json":
            assert json.loads(self.printed) == json.loads(content)
        else:
            assert self.printed == content

    def _here(self, text: str) -> str:
        return text.replace(ENDPOINT, self.endpoint) if ENDPOINT in text else text

    @property
    def endpoint(self) -> str:
        """A scripted server, which knows the pairs that the page may have made by then."""
        if not hasattr(self, "_server"):
            pairs = self.folder / "pairs.jsonl"
            known = list(read_parallel(pairs)) if pairs.exists() else []
            server = ScriptedServer(ANSWERS, {"missing_span": 0.3}, pairs=known)
            self._server = self.stack.enter_context(server)
        return self._server.base_url

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
        self.printed = done.stdout


@pytest.mark.parametrize(
    ("page", "commands"),
    [("quickstart", 1), ("tutorials/entities", 4), ("tutorials/parallel", 7), ("tutorials/efficiency", 0)],
)
def test_a_reader_who_follows_the_page_sees_what_it_shows(page, commands, tmp_path):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    with contextlib.ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        for language, content in re.findall(
            r"^```(python|bash|json|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
        ):
            reader.do(language, content)
    assert reader.commands == commands
    if page == "tutorials/parallel":
        assert [pair.target.text for pair in read_parallel(tmp_path / "en-zh.jsonl")].count(
            "整天都在下雨。"
        ) == 1


def test_the_array_job_on_the_page_of_slurm_makes_parts_that_merge(tmp_path):
    page = (DOCS / "howto" / "slurm.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```bash\n(#!.*?)^```", page, re.MULTILINE | re.DOTALL)
    ada = Mention("e0", "Person", 0, 3, "Ada")
    pairs = [
        ParallelRecord(
            f"{n}",
            Record(f"{n}", "en", f"Ada came {n} times.", (ada,)),
            Record(f"{n}", "zh", f"艾达来过{n}次。", (Mention("e0", "Person", 0, 2, "艾达"),)),
        )
        for n in range(6)
    ]
    write_records([pair.source for pair in pairs], tmp_path / "train.jsonl")
    kcx = tmp_path / "kcx"
    kcx.write_text(
        f"#!/usr/bin/env bash\nexec {sys.executable} -c 'from kcx_jax.cli import main; main()' \"$@\"\n"
    )
    kcx.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    with ScriptedServer(pairs=pairs) as server:
        here = script.replace('/8"', '/2"')
        assert here != script
        environment |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "any"}

        def start(task: str) -> None:
            disk = tmp_path / f"disk {len(asked)}"
            disk.mkdir()
            alone = environment | {"TMPDIR": str(disk), "SLURM_ARRAY_TASK_ID": task}
            done = subprocess.run(
                ["bash", "-c", here], cwd=tmp_path, env=alone, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            asked.append(server.bill.requests)

        asked: list[int] = []
        for task in ("0", "1", "1"):
            start(task)
    assert asked == [asked[0], 6, 6]  # the second start of a part finds it done
    merged = [kcx, "parallel", "merge", "runs/part-0", "runs/part-1", "--output", "en-zh.jsonl"]
    assert subprocess.run(merged, cwd=tmp_path, env=environment, timeout=120).returncode == 0
    assert len(list(read_parallel(tmp_path / "en-zh.jsonl"))) == 6
