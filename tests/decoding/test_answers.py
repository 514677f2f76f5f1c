"""scripts/check_answers on a few sentences of some languages."""

import runpy
from pathlib import Path

import pytest

LANGUAGES = ("en", "zh", "hi")
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_answers"


@pytest.mark.slow
def test_random_weights_write_answers_to_real_sentences_of_many_languages(shared):
    script = runpy.run_path(str(SCRIPT))
    counts = dict(script["check"](shared / "data", script["random_model"](0), 12, LANGUAGES))
    assert len(counts) == len(LANGUAGES)
    assert not any(count.failures or count.differences for count in counts.values()), counts
    assert sum(count.answers for count in counts.values()) > 100
    assert all(count.instances for count in counts.values())
