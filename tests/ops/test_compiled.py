"""Where compiled programs are kept."""

import jax
import pytest

from kcx_jax.ops.compiled import keep_compiled


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, in which JAX was told nothing."""
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)


def _kept_in():
    keep_compiled()
    return jax.config.values["jax_compilation_cache_dir"]


def test_in_the_users_cache(home, monkeypatch):
    assert _kept_in() == str(home / ".cache/kcx_jax/compiled")
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "other"))
    assert _kept_in() == str(home / "other/kcx_jax/compiled")


def test_where_the_user_says(home, monkeypatch):
    jax.config.update("jax_compilation_cache_dir", str(home / "mine"))
    assert _kept_in() == str(home / "mine")
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")  # nowhere
    assert _kept_in() is None
    assert not (home / ".cache").exists()


def test_nowhere_if_the_folder_cannot_be_made(home):
    (home / ".cache").write_text("a file")
    assert _kept_in() is None
