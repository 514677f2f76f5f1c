"""Fixtures every room's tests may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden checkpoints and real corpora; tests that need it skip, saying so, where it is absent."""
    folder = Path(os.environ.get("KCX_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "fixtures").is_dir():
        pytest.skip(f"needs the shared fixtures and corpora, not found at {folder} (set KCX_SHARED)")
    return folder
