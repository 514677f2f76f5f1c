"""scripts/measure_steps on a few records: gold answers of every task, in fewer steps than tokens."""

import runpy
from itertools import islice
from pathlib import Path

import pytest

from kcx_jax.bench.decode import random_model
from kcx_jax.corpora import read_records
from kcx_jax.models import ModelConfig
from kcx_jax.schema.ontology import schema_for
from kcx_jax.tokenizer import load_tokenizer

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "measure_steps"
CONFIG = ModelConfig(
    vocab_size=125_696, hidden_size=16, intermediate_size=16, num_layers=1, num_heads=2, max_positions=4096
)


@pytest.mark.parametrize(
    ("file", "inventory", "task"),
    [
        ("ner/crossner/science/test.txt", "crossner-science", "ner"),
        ("event/fewfc/dev_base.json", "fewfc", "eae"),
    ],
)
def test_gold_answers_take_fewer_steps_than_tokens(shared, file, inventory, task):
    script = runpy.run_path(str(SCRIPT))
    tokenizer, schema = load_tokenizer(shared / "fixtures/baichuan2_tokenizer"), schema_for(inventory)
    model = random_model(CONFIG, "float32", tokenizer=tokenizer)
    records = list(islice(read_records(shared / "data" / file, inventory=inventory), 40))
    some = [each for each in records if script["can_be_answered"](each, schema, task)][:12]
    one, eight = (script["measured"](some, schema, task, model, {"width": width}) for width in (1, 8))
    assert one.answers == eight.answers == len(some)
    assert one.tokens == eight.tokens
    assert one.steps > 0.8 * one.tokens  # all but the first and the end
    assert eight.steps < one.steps / 2
