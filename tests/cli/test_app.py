"""Errors become one message and the exit code of the contract; the command line itself is light."""

import errno
import os
import subprocess
import sys

import pytest
import typer

from kcx_jax import __version__
from kcx_jax.cli import app as module
from kcx_jax.cli import main
from kcx_jax.errors import BudgetExceeded, KcxError, UsageError


def _leave(monkeypatch, capsys, error=None, argv=("kcx",)):
    """Run main with a command that raises `error`; -> (exit code, stdout, stderr)."""

    def raising():
        raise error

    monkeypatch.setattr(sys, "argv", list(argv))
    if error is not None:
        monkeypatch.setattr(module, "app", raising)
    with pytest.raises(SystemExit) as leaving:
        main()
    captured = capsys.readouterr()
    return leaving.value.code or 0, captured.out, captured.err


@pytest.mark.parametrize(
    ("error", "code"),
    [(KcxError("no such file: x"), 1), (UsageError("no such key: y"), 2), (BudgetExceeded("5 USD spent"), 3)],
)
def test_a_users_mistake_is_one_line_and_its_exit_code(monkeypatch, capsys, error, code):
    assert _leave(monkeypatch, capsys, error) == (code, "", f"kcx: {error}\n")


def test_a_disks_failure_is_one_line_with_the_path(monkeypatch, capsys):
    code, out, err = _leave(monkeypatch, capsys, OSError(errno.ENOSPC, "No space left on device", "run/x"))
    assert (code, out) == (1, "")
    assert "run/x: No space left on device" in err
    assert err.count("\n") == 1


def test_an_interrupt_leaves_with_130(monkeypatch, capsys):
    assert _leave(monkeypatch, capsys, KeyboardInterrupt()) == (130, "", "")


@pytest.mark.parametrize("missing", ["jax", "jaxlib.xla", "orbax.checkpoint", "sentencepiece"])
def test_a_missing_extra_is_named(monkeypatch, capsys, missing):
    code, out, err = _leave(monkeypatch, capsys, ModuleNotFoundError("gone", name=missing))
    assert (code, out) == (1, "")
    assert missing in err
    assert "pip install 'kcx-jax[model]'" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("bug", [ModuleNotFoundError("gone", name="kcx_jax.nowhere"), ValueError("a bug")])
def test_a_bug_keeps_its_traceback(monkeypatch, bug):
    def raising():
        raise bug

    monkeypatch.setattr(module, "app", raising)
    with pytest.raises(type(bug)):
        main()


def test_version(monkeypatch, capsys):
    assert _leave(monkeypatch, capsys, argv=["kcx", "--version"]) == (0, f"kcx_jax {__version__}\n", "")


def test_an_unknown_command_is_a_usage_error(monkeypatch, capsys):
    code, out, err = _leave(monkeypatch, capsys, argv=["kcx", "extrct"])
    assert (code, out) == (2, "")
    assert "extrct" in err


def _leaves(words, command):
    """The words of every command below `command`, groups within groups too."""
    for name, below in command.commands.items():
        deeper = hasattr(below, "commands")
        yield from _leaves([*words, name], below) if deeper else [[*words, name]]


@pytest.mark.parametrize("name", [*module.COMMANDS, *module.GROUPS])
def test_every_command_explains_itself_with_an_example(monkeypatch, capsys, name):
    group = module.GROUPS.get(name)
    command = None if group is None else typer.main.get_command(group)
    for words in [[name]] if command is None else _leaves([name], command):
        code, out, _ = _leave(monkeypatch, capsys, argv=["kcx", *words, "--help"])
        assert code == 0
        text = " ".join(out.split())
        assert f"Example: kcx {' '.join(words)}" in text, f"{words}: no example in its help"


def test_importing_the_command_line_imports_nothing_heavy():
    heavy = "{'jax', 'flax', 'optax', 'transformers', 'torch', 'matplotlib', 'openai', 'numpy'}"
    code = f"import sys, kcx_jax.cli; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stream_that_is_no_utf8_shows_what_it_cannot_write(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"id": "李白", "language": "zh", "text": "Bob 李白", "entities": []}\n'
    )
    command = [
        sys.executable,
        "-c",
        "from kcx_jax.cli import main; main()",
        "data",
        "show",
        tmp_path / "a.jsonl",
    ]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0, done.stderr
    assert b"Bob \\u674e\\u767d" in done.stdout


def test_a_reader_that_leaves_costs_no_message():
    code = "from kcx_jax.cli import app, main; app.app = lambda: print('x' * 100); main()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_ctrl_c_in_a_callback_of_the_garbage_collector_is_not_lost():
    code = """
import gc, sys, time
from kcx_jax.cli.app import interrupt_again

sys.unraisablehook = interrupt_again

def once(phase, info):
    gc.callbacks.remove(once)
    raise KeyboardInterrupt

gc.callbacks.append(once)
try:
    gc.collect()
    time.sleep(10)
    print("lost")
except KeyboardInterrupt:
    print("kept")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("kept\n", "")
