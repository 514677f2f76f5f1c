"""What an extractor compiles is kept for the next process."""

import json
import os
import subprocess
import sys

import pytest

EXTRACT = """
import json, sys
import jax
events = []
jax.monitoring.register_event_listener(
    lambda event, **_: events.append(event.rsplit("/", 1)[-1]) if "/compilation_cache/cache_" in event else None
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
from kcx_jax.extraction import Extractor
extractor = Extractor.from_pretrained(sys.argv[1], max_new_tokens=8)
answers = [result.answers for result in extractor.extract("Ada met Ada.", ["person"])]
print(json.dumps({"events": events, "answers": answers}))
"""


@pytest.fixture
def extract(shared, tmp_path):
    """A function: what one process answers, what it found in the cache and what it did not."""

    def run():
        surroundings = {name: value for name, value in os.environ.items() if "CACHE" not in name}
        child = subprocess.run(
            [sys.executable, "-c", EXTRACT, str(shared / "fixtures/baichuan2_tiny/base_fp32")],
            env={**surroundings, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert child.returncode == 0, child.stderr
        return json.loads(child.stdout.splitlines()[-1])

    return run


def _programs(folder):
    return {file.name for file in folder.glob("*-cache")}


def test_a_second_process_compiles_nothing(extract, tmp_path):
    first = extract()
    folder = tmp_path / "kcx_jax/compiled"
    kept = _programs(folder)
    assert any("run" in name for name in kept)
    assert "cache_misses" in first["events"]
    second = extract()
    assert set(second["events"]) == {"cache_hits"}
    assert second["answers"] == first["answers"]
    assert _programs(folder) == kept
