"""Running ``kcx`` in this process."""

import sys

import pytest

from kcx_jax.cli import main


@pytest.fixture
def kcx(monkeypatch, capsys):
    """Call with arguments -> (exit code, stdout, stderr)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["kcx", *map(str, words)])
        with pytest.raises(SystemExit) as leaving:
            main()
        captured = capsys.readouterr()
        return leaving.value.code or 0, captured.out, captured.err

    return run
