"""Servers that others wrote judge the wire format: llmock (PyPI) and aimock (npm), started as real processes.

The scripted server of `kcx_jax.testing` was written beside the client and may share its mistakes; these two may not.
"""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kcx_jax.corpora import Mention, Record, read_parallel, write_records
from kcx_jax.llm import BatchSettings, ChatClient, Ledger

pytestmark = pytest.mark.slow

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
CITY = {"city": "Łódź", "people": 670_000}
NUMBERS = range(3)
LEAST = 7  # requests that are worth a file


def _source(n: int) -> Record:
    text = f"Ada {n} saw the sea."
    return Record(f"r{n}", "en", text, (Mention("e0", "Person", 0, 5, f"Ada {n}"),))


def _reply(n: int) -> str:
    return json.dumps({"sentence": f"🎉艾达{n}看见了大海。", "spans": [{"id": "s0", "text": f"艾达{n}"}]})


@dataclass(frozen=True)
class Referee:
    """A running server: what it calls itself, where it is, and how it is told to refuse once, or to translate."""

    name: str
    root: str
    refuse_once: Callable[[], None]
    translate: Callable[[], None]

    @property
    def base_url(self) -> str:
        return f"{self.root}/v1"

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.root}{path}", data, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def _serving(command: list[str], port: int, log: Path) -> Iterator[str]:
    root = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"no answer after a minute: {log.read_text()}"
            try:
                urllib.request.urlopen(f"{root}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield root
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _llmock(folder: Path) -> Iterator[Referee]:
    """From PyPI: makes up replies that fit the schema asked for, echoes in batches, and takes a script."""
    # Beside the interpreter only: aimock's package has a command of the same name.
    program = shutil.which("llmock", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("needs llmock: pip install llmock==0.2.2 (scripts/test --interop has it)")
    port = _free_port()
    command = [program, "serve", "--port", str(port), "--response-style", "echo"]

    def script(*behaviors: dict[str, Any]) -> None:
        referee.ask("/_llmock/reset", {})
        referee.ask("/_llmock/scenario", {"behaviors": behaviors})

    with _serving(command, port, folder / "log") as root:
        referee = Referee(
            "llmock",
            root,
            lambda: script({"type": "fail", "status": 429, "retry_after": 1, "times": 1}),
            lambda: script(*({"type": "reply", "text": _reply(n), "times": 1} for n in NUMBERS)),
        )
        yield referee


@contextmanager
def _aimock(folder: Path) -> Iterator[Referee]:
    """From npm: answers by what the user's message holds, if structured output was asked for."""
    program = shutil.which("aimock")
    if program is None:
        pytest.skip("needs aimock on PATH: npm install --global @copilotkit/aimock@1.43.0")

    def fixture(said: str, response: dict[str, Any], **match: Any) -> dict[str, Any]:
        return {"match": {"userMessage": said, **match}, "response": response}

    slow_down = {
        "error": {"message": "slow down", "type": "rate_limit_error"},
        "status": 429,
        "retryAfter": 1,
    }
    fixtures = [
        fixture("refuse once", slow_down, sequenceIndex=0),
        fixture("refuse once", {"content": "thank you"}),
        fixture("Which city?", {"content": json.dumps(CITY)}, responseFormat="json_schema"),
        *(fixture(_source(n).text, {"content": _reply(n)}, responseFormat="json_schema") for n in NUMBERS),
    ]
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    (folder / "config.json").write_text(json.dumps({"llm": {"fixtures": str(folder / "fixtures.json")}}))
    port = _free_port()
    command = [program, "--config", str(folder / "config.json"), "--port", str(port)]
    with _serving(command, port, folder / "log") as root:
        yield Referee("aimock", root, lambda: None, lambda: None)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(_llmock, id="llmock", marks=pytest.mark.interop),
        pytest.param(_aimock, id="aimock"),
    ],
)
def referee(request, tmp_path_factory) -> Iterator[Referee]:
    with request.param(tmp_path_factory.mktemp("referee")) as referee:
        yield referee


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def _complete(client: ChatClient, *said: str, **options: Any) -> list:
    async def run() -> list:
        try:
            asked = ([{"role": "user", "content": text}] for text in said)
            return await asyncio.gather(*(client.complete(each, **options) for each in asked))
        finally:
            await client.aclose()

    return asyncio.run(asyncio.wait_for(run(), 120))


def test_structured_output_is_asked_for_as_they_know_it(referee, ledger):
    client = ChatClient("gpt-4o", referee.base_url, "key", ledger)
    (reply,) = _complete(client, "Which city?", json_schema=SCHEMA, max_tokens=50)
    city = json.loads(reply.text)
    assert {key: type(value) for key, value in city.items()} == {"city": str, "people": int}
    if referee.name == "aimock":
        assert city == CITY
    assert min(reply.usage.input_tokens, reply.usage.output_tokens) > 0
    assert [(row["state"], row["calls"]) for row in ledger.summary()] == [("answered", 1)]


def test_a_refusal_is_waited_out_as_long_as_they_say(referee, ledger):
    referee.refuse_once()
    client = ChatClient("gpt-4o", referee.base_url, "key", ledger)
    begun = time.monotonic()
    (reply,) = _complete(client, "refuse once", max_tokens=50)
    assert time.monotonic() - begun >= 1.0
    assert "refuse once" in reply.text or reply.text == "thank you"
    assert sorted((row["error_class"] or "", row["calls"]) for row in ledger.summary()) == [
        ("", 1),
        ("rate_limited", 1),
    ]
    if referee.name == "llmock":  # it graded the client: waited long enough, and asked once more
        assert referee.ask("/_llmock/verdict")["findings"] == []


def test_a_batch_goes_out_and_every_request_gets_its_answer(referee, ledger):
    said = [f"sentence {n}" for n in range(2 * LEAST)]
    batch = BatchSettings(most_requests=LEAST, smallest=LEAST, quiet=0.1, poll=0.2)
    client = ChatClient("gpt-4o", referee.base_url, "key", ledger, batch=batch)
    replies = _complete(client, *said, max_tokens=50)
    if referee.name == "llmock":
        assert [reply.text.endswith(text) for reply, text in zip(replies, said, strict=True)] == [True] * len(
            said
        )
    else:  # all its answers are the same words
        assert {reply.text for reply in replies} == {"Mock batch completion"}
    rows = ledger.store.read("SELECT calls, state FROM batch").fetchall()
    assert [tuple(row) for row in rows] == [(LEAST, "collected")] * 2
    offline = ChatClient("gpt-4o", referee.base_url, ledger=ledger, offline=True)
    assert [reply.text for reply in _complete(offline, *said, max_tokens=50)] == [
        reply.text for reply in replies
    ]


def test_kcx_parallel_builds_against_them(referee, tmp_path):
    referee.translate()
    write_records((_source(n) for n in NUMBERS), tmp_path / "in.jsonl")
    command = [sys.executable, "-c", "from kcx_jax.cli import main; main()", "parallel", "build"]
    command += [str(tmp_path / "in.jsonl")]
    command += ["--source", "en", "--target", "zh", "--run", str(tmp_path / "run"), "--concurrency", "1"]
    command += ["--model", "gpt-4o", "--base-url", referee.base_url]
    for _ in range(2):  # the second asks nothing: llmock's script is at its end
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        pairs = list(read_parallel(tmp_path / "run" / "parallel.jsonl"))
        assert [(pair.id, pair.target.text) for pair in pairs] == [
            (f"r{n}", f"🎉艾达{n}看见了大海。") for n in NUMBERS
        ]
        assert [(e.start, e.end, e.text) for pair in pairs for e in pair.target.entities] == [
            (1, 4, f"艾达{n}") for n in NUMBERS
        ]
