"""scripts/check_gold_ids on a part of every corpus: whatever training teaches may be written."""

import runpy
from pathlib import Path

import pytest

from kcx_jax.tokenizer import load_tokenizer

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_gold_ids"


@pytest.mark.slow
def test_the_ids_of_answers_of_every_corpus_are_allowed(shared):
    tokenizer = load_tokenizer(shared / "fixtures/baichuan2_tokenizer")
    answers, tasks = 0, set()
    table = runpy.run_path(str(SCRIPT))["table"]
    for folder, task, count in table(shared / "data", tokenizer, 97, "schema+span"):
        assert not count.refused, (folder, task, count.refused[:3])
        answers += count.accepted
        tasks.add(task)
    assert answers > 1000
    assert tasks == {"ner", "re", "ed", "eae"}
