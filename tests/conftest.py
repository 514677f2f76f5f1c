"""Fixtures every room's tests may use."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("kcx", deadline=None)
settings.load_profile("kcx")

TESTS = Path(__file__).parent
MINUTES = ("slow", "multiprocess")  # markers
COMPILING = ("training", "models", "decoding", "checkpoints", "ops", "bench")  # longest first


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden checkpoints and real corpora; tests that need it skip, saying so, where it is absent."""
    folder = Path(os.environ.get("KCX_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "fixtures").is_dir():
        pytest.skip(f"needs the shared fixtures and corpora, not found at {folder} (set KCX_SHARED)")
    return folder


@pytest.fixture(scope="module")
def chromium():
    """Chromium without a window, as playwright drives it; skips, saying so, where there is none."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright (the extra `browser`)")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    program = os.environ.get("KCX_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"needs Chromium: none of {', '.join(names)} is on PATH (or set KCX_CHROMIUM)")
    # Nothing of its own goes to the network; --no-sandbox, as tests may run as root.
    quiet = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync")
    quiet += ("disable-background-networking", "disable-component-update")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[f"--{name}" for name in quiet])
        yield browser
        browser.close()


@pytest.fixture(autouse=True, scope="module")
def compiled_for_one_file():
    """What the tests of a file compiled is dropped: a process has room for few programs of models (`Program`)."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


def pytest_configure(config):
    """What the workers of pytest-xdist and the programs that tests start have from here."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Most of the suite's time would go into compiling the same again.
        folder = tempfile.TemporaryDirectory(prefix="kcx-compiled-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder.name
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    # A shell that starts pytest in the background has Ctrl-C ignored, in children too; tests send it on purpose.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Files with tests of minutes first, then the folders that compile: no core ends with a long file alone.

    pytest-xdist's loadfile hands out files in this order with --no-loadscope-reorder; by itself it starts with the
    files of many tests, and those of one long test come last.
    """
    long = {item.path for item in items if any(map(item.get_closest_marker, MINUTES))}

    def rank(item):
        folders = (place for place, name in enumerate(COMPILING) if TESTS / name in item.path.parents)
        return item.path not in long, next(folders, len(COMPILING))

    items.sort(key=rank)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With KCX_REQUIRE_INTEROP set, as in CI, an interop test that skips counts as failed."""
    outcome = yield
    report = outcome.get_result()
    if os.environ.get("KCX_REQUIRE_INTEROP") and report.skipped and item.get_closest_marker("interop"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped, but KCX_REQUIRE_INTEROP is set: {report.longrepr}"
