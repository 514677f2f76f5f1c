"""The process: it says where it is, ends on a signal with what is under way answered, and fails in one sentence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from kcx_jax.cli.serve import command
from kcx_jax.errors import KcxError, UsageError

ROOT = Path(__file__).resolve().parents[2]
NEWS = ROOT / "configs" / "ner_news.py"
KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]
SECRET = "Ada Lovelace hat Geheimnisse"
BODY = {"text": SECRET, "labels": ["person"]}
# A server whose engine answers at once, or, `held`, when a line comes from stdin.
STAND_IN = """
import importlib.util, sys, threading
spec = importlib.util.spec_from_file_location("stand_in", {stand_in!r})
stand_in = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stand_in)
from kcx_jax.serving import Service, Settings, listen, serve, url_of
from kcx_jax.serving.logs import log_to_stderr

def reply(wanted):
    if "crash" in wanted.context:
        raise ValueError(wanted.context)
    return " []"

def on_line():
    if sys.stdin.readline():
        engine.let_go()

engine = stand_in.StandIn(reply, held={held})
threading.Thread(target=on_line, daemon=True).start()
settings = Settings(model="tiny", drain={drain}, queue=1000)
log_to_stderr()
def load():
    {load}
    return Service(engine, settings)
with listen("127.0.0.1", 0) as listening:
    print(url_of(listening), flush=True)
    serve(settings, listening, load)
"""

# Python's own end would abort beside this.
COMPILING = """
    import jax
    for number in range(10**6):
        jax.block_until_ready(jax.jit(lambda x: sum(x @ x + number + more for more in range(99)))(jax.numpy.eye(9)))
"""


@pytest.fixture
def started():
    """Call for a server process with a stand-in, and its address; `load` is what happens before it is ready."""
    running = []

    def start(held=False, drain=60.0, load="pass"):
        path = str(Path(__file__).with_name("stand_in.py"))
        code = STAND_IN.format(stand_in=path, held=held, drain=drain, load=load)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([sys.executable, "-c", code], text=True, cwd=ROOT, **pipes)
        running.append(process)
        return process, process.stdout.readline().strip().rstrip("/")

    yield start
    for process in running:
        process.kill()
        process.communicate()


def until_ready(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/ready").status_code == 200:
                return
        except httpx.ConnectError:
            pass
        threading.Event().wait(0.1)
    raise AssertionError("it never was ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_nothing_that_was_taken(started, number):
    process, url = started(held=True)
    until_ready(url)
    limits = httpx.Limits(max_connections=None)
    with ThreadPoolExecutor(100) as pool, httpx.Client(base_url=url, timeout=60, limits=limits) as client:
        answers = [pool.submit(client.post, "/v1/extract", json=BODY) for _ in range(100)]
        while "kcx_engine_live 100.0" not in client.get("/metrics").text:
            pass
        process.send_signal(number)
        while client.get("/ready").status_code == 200:
            pass
        process.stdin.write("go\n")
        process.stdin.flush()
        assert [each.result().status_code for each in answers] == [200] * 100
    _, log = process.communicate(timeout=60)
    assert process.returncode == (0 if number == signal.SIGTERM else -signal.SIGINT)  # an interrupt is one
    assert '"event": "stopped"' in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_does_not_wait_for_a_model_that_is_being_loaded(started, number):
    process, url = started(load=COMPILING)
    assert httpx.get(f"{url}/ready", timeout=60).status_code == 503
    process.send_signal(number)
    _, log = process.communicate(timeout=60)
    assert process.returncode == -number
    assert '"event": "stopped"' in log


def test_what_takes_too_long_after_the_signal_is_told_so(started):
    process, url = started(held=True, drain=0.3)
    until_ready(url)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{url}/v1/extract", json=BODY, timeout=60)
        while "kcx_engine_live 1.0" not in httpx.get(f"{url}/metrics").text:
            pass
        process.terminate()
        assert asked.result().status_code == 503
        assert asked.result().json()["error"]["code"] == "shutting_down"
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_no_text_is_in_the_log(started):
    process, url = started()
    until_ready(url)
    for body in (
        BODY,
        {**BODY, "text": f"{SECRET} crash"},
        {"text": SECRET},
        {**BODY, "labels": [SECRET, SECRET]},
    ):
        httpx.post(f"{url}/v1/extract", json=body, headers={"X-Request-Id": "mine"}, timeout=60)
    httpx.get(f"{url}/{SECRET}?q={SECRET}")
    httpx.post(f"{url}/v1/completions", content=SECRET, headers={"Content-Type": "application/json"})
    httpx.post(f"{url}/v1/completions", json={"model": SECRET, "prompt": SECRET})
    process.terminate()
    _, log = process.communicate(timeout=60)
    assert "Geheim" not in log
    requests = [line for line in map(json.loads, log.splitlines()) if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 500, 400, 400, 404, 400, 404]
    assert requests[0].items() >= {"id": "mine", "route": "/v1/extract", "method": "POST", "asks": 1}.items()
    assert requests[1]["error"] == "ValueError"
    assert any("asking.py" in place for place in requests[1]["trace"])
    assert requests[4]["route"] == "unknown"


def test_a_model_that_cannot_be_loaded_ends_the_server_with_its_error(started):
    process, _ = started(load='raise RuntimeError("no weights")')
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no weights" in log.splitlines()[-1]


def kcx(*words, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*KCX, "serve", *words], capture_output=True, text=True, timeout=120, cwd=ROOT, **options
    )


def test_a_port_that_is_taken_is_said_before_a_model_is_loaded(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            KcxError, match=rf"cannot listen on 127.0.0.1 port {port}: .*Choose another --port"
        ):
            command("nowhere", port=port)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"schema": ["news"]}, "write NAME=FILE"),
        ({"schema": ["news=missing.py"]}, "cannot read the schema missing.py"),
        ({"schema": [f"news={NEWS}", f"news={NEWS}"]}, "the name 'news' is given twice"),
        ({"api_key_env": "KCX_TEST_UNSET"}, "KCX_TEST_UNSET, which is not set"),
        ({"cors_origin": ["*"]}, "any page may ask only where an API key is needed"),
    ],
)
def test_mistakes_of_the_call_are_said_before_a_model_is_loaded(options, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        command("nowhere", port=0, **options)


def test_a_missing_model_ends_the_server_in_one_sentence(tmp_path):
    done = kcx("--model", str(tmp_path / "nowhere"), "--port", "0")
    assert done.returncode in (1, 2)
    assert done.stderr.splitlines()[-1].startswith("kcx: ")
    assert "Traceback" not in done.stderr


def test_a_missing_extra_names_itself(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError('no', name='fastapi')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = kcx("--model", "nowhere", env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 1
    assert "pip install 'kcx-jax[serve]'" in done.stderr
