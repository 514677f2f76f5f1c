"""The F1 of a model in training is that of its answers to the first records of each validation corpus."""

import pytest

from kcx_jax.corpora import Mention, Record, RelationLink, write_records
from kcx_jax.evaluation import while_training
from kcx_jax.evaluation.answers import Answered
from kcx_jax.extraction import Extractor
from kcx_jax.prompts import extraction_branch
from kcx_jax.schema import load_schema
from kcx_jax.testing.llm_script import Script
from kcx_jax.testing.llm_server import ScriptedServer
from kcx_jax.training.config import StageSettings

from .conftest import SCHEMA


def record(number: int, language: str) -> Record:
    name = f"Ada{number}"
    mention = Mention("e0", "Person", 0, len(name), name)
    return Record(f"{language}{number}", language, f"{name} sleeps.", entities=(mention,))


def extraction_stage(tmp_path) -> StageSettings:
    (tmp_path / "schema.py").write_text(SCHEMA)
    data = []
    for language in ("en", "es"):
        write_records([record(n, language) for n in range(5)], tmp_path / f"{language}.jsonl")
        data.append({"path": str(tmp_path / f"{language}.jsonl"), "schema": str(tmp_path / "schema.py")})
    return StageSettings.model_validate({"kind": "extract", "data": data, "validation": data})


def test_it_is_the_micro_f1_of_the_first_records(tmp_path, monkeypatch):
    asked = []

    def answers(extractor, records, schema, task, pair):
        """English ones right, others none."""
        asked.extend(each.id for each in records)
        for each in records:
            entities = each.entities if each.language == "en" else ()
            yield Answered(each.id, "", Record(each.id, each.language, each.text, entities=entities))

    monkeypatch.setattr(while_training, "answer_records", answers)
    monkeypatch.setattr(while_training, "Generator", lambda model: None)
    extraction = extraction_stage(tmp_path)
    assert while_training.decoded_f1(None, extraction, 3) == pytest.approx(2 / 3)
    assert asked == ["en0", "en1", "en2", "es0", "es1", "es2"]
    alignment = extraction.model_copy(update={"kind": "align"})
    assert while_training.decoded_f1(None, alignment, 3) is None


@pytest.mark.parametrize("pair", [False, True])
def test_a_model_is_asked_with_the_pair_where_it_is_tuned_with_it(tmp_path, monkeypatch, pair):
    people = [
        Mention(f"e{at}", "Person", at, at + 3, name) for at, name in ((0, "Ada"), (10, "Bob"), (18, "Eve"))
    ]
    gold = Record(
        "1",
        "en",
        "Ada knows Bob and Eve.",
        tuple(people),
        (RelationLink("Knows", "e0", "e18"),),
        meta={"pair": {"mentions": ["e0", "e18"]}},
    )
    write_records([gold], tmp_path / "pairs.jsonl")
    (tmp_path / "schema.py").write_text(SCHEMA)
    data = {
        "path": str(tmp_path / "pairs.jsonl"),
        "schema": str(tmp_path / "schema.py"),
        "tasks": ["ner", "re"],
    }
    data = [data | {"prompts": {"pair": pair}}]
    stage = StageSettings.model_validate({"kind": "extract", "data": data, "validation": data})
    seen, read = [], Script.read
    monkeypatch.setattr(
        Script, "read", lambda self, model, messages: seen.append(messages) or read(self, model, messages)
    )
    right = {
        "ner": '[Person("Ada"), Person("Bob"), Person("Eve")]',
        "re": '[Knows(Person("Ada"), Person("Eve"))]',
    }
    with ScriptedServer({gold.text: right}) as server:
        extractor = Extractor.from_openai("m", server.base_url, "key")
        monkeypatch.setattr(while_training, "Generator", lambda model: None)
        monkeypatch.setattr(while_training, "ModelAnswers", lambda generator, tokens: None)
        monkeypatch.setattr(while_training, "Extractor", lambda answers: extractor)
        assert while_training.decoded_f1(None, stage, 3) == 1.0
    schema = load_schema(tmp_path / "schema.py")
    for messages, task in zip(seen, ("ner", "re"), strict=True):
        asked = extraction_branch(gold, schema, task, pair and task == "re").context
        assert messages[-1]["content"].endswith(asked), task
