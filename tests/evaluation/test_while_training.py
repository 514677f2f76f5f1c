"""The F1 of a model in training is that of its answers to the first records of each validation corpus."""

import pytest

from kcx_jax.corpora import Mention, Record, write_records
from kcx_jax.evaluation import while_training
from kcx_jax.evaluation.answers import Answered
from kcx_jax.training.config import StageSettings

SCHEMA = """
class Person(Entity):
    \"\"\"A human being.\"\"\"
"""


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

    def answers(extractor, records, schema, task):
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
