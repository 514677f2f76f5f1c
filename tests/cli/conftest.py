"""Running ``kcx`` in this process."""

import sys

import pytest

from kcx_jax.cli import main
from kcx_jax.corpora import Mention, ParallelRecord, Record


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


@pytest.fixture
def no_endpoint(monkeypatch):
    """No endpoint and no key in the environment."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def numbered():
    """A small pair by its number."""
    return _pair


def _pair(n: int) -> ParallelRecord:
    source, target = f"Ada{n} went.", f"艾达{n}走了。"
    return ParallelRecord(
        f"r{n}",
        Record(f"r{n}", "en", source, (Mention("e0", "Person", 0, source.index(" "), source.split()[0]),)),
        Record(f"r{n}", "zh", target, (Mention("e0", "Person", 0, target.index("走"), target[:-3]),)),
    )
