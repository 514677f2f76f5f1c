"""Benchmarks that ask about a pair: prompts of either style name it where that is wanted, and nothing else changes."""

import pytest

from kcx_jax.corpora import Mention, Record, RelationLink, write_records
from kcx_jax.evaluation.runs import EvaluateConfig, evaluate
from kcx_jax.prompts import extraction_branch, extraction_prefix
from kcx_jax.schema import load_schema
from kcx_jax.testing.llm_script import Script
from kcx_jax.testing.llm_server import ScriptedServer

TEXT = "The audits were about waste."
SCHEMA = """
class Thing(Entity):
    \"\"\"Anything.\"\"\"
class Topic(Relation):
    \"\"\"The head is about the tail.\"\"\"
    head: Thing
    tail: Thing
"""
MENTIONS = (Mention("e1", "Thing", 4, 10, "audits"), Mention("e2", "Thing", 22, 27, "waste"))
RECORD = Record(
    "1",
    "en",
    TEXT,
    MENTIONS,
    (RelationLink("Topic", "e1", "e2"),),
    meta={"pair": {"mentions": ["e1", "e2"], "label": "Topic"}},
)


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What a chat model is asked about the record, by the benchmark's prompts and the system's style."""
    write_records([RECORD], tmp_path / "gold.jsonl")
    (tmp_path / "schema.py").write_text(SCHEMA)
    seen, read = [], Script.read
    monkeypatch.setattr(
        Script, "read", lambda self, model, messages: seen.append(messages) or read(self, model, messages)
    )

    def ask(style, prompts):
        with ScriptedServer({TEXT: {"re": '[Topic(Thing("audits"), Thing("waste"))]'}}) as server:
            system = {"kind": "chat", "name": "c", "model": "m", "style": style, "base_url": server.base_url}
            benchmark = {
                "name": "b",
                "path": str(tmp_path / "gold.jsonl"),
                "schema": str(tmp_path / "schema.py"),
                "tasks": ["re"],
                "prompts": prompts,
            }
            values = {"results": str(tmp_path / f"{style}{len(seen)}"), "samples": 10}
            evaluate(EvaluateConfig.model_validate(values | {"benchmarks": [benchmark], "systems": [system]}))
        return seen[-1][1]["content"]

    return ask


def test_the_code_prompt_is_that_of_tuning(asked):
    schema = load_schema(SCHEMA)
    for given in (False, True):
        branch = extraction_branch(RECORD, schema, "re", pair=given)
        assert asked("code", {"pair": given}) == extraction_prefix(schema, "re") + branch.context


def test_the_json_prompt_names_the_pair_and_its_classes(asked):
    plain, given = asked("json", {}), asked("json", {"pair": True})
    assert given.startswith(plain)
    assert (
        given.removeprefix(plain).strip()
        == 'Only what relates these two: "audits" (Thing) and "waste" (Thing)'
    )
