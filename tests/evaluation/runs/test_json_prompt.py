"""The JSON prompt: every class and role that the code prompt shows, and no code."""

import json

import pytest

from kcx_jax.demo.corpus import schema
from kcx_jax.evaluation.runs.json_prompt import conversation
from kcx_jax.prompts.splitting import listed_concepts
from kcx_jax.schema import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_it_says_what_the_schema_says(task):
    system, user = conversation(schema(), task, 'She said "no"\nand left')
    for concept in listed_concepts(schema().for_task(task), task):
        (line,) = [line for line in user["content"].splitlines() if line.startswith(f"- {concept.name}")]
        assert concept.description in line
        if task == "eae":
            assert all(role.name in line for role in schema().roles_of(concept.name))
    assert json.loads(user["content"].rpartition("Sentence: ")[2]) == 'She said "no"\nand left'
    assert "class " not in user["content"] + system["content"]
