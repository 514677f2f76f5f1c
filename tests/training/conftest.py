"""Everything a run needs, on disk: a tiny base, a schema, records, parallel data, a config."""

import jax
import pytest

from kcx_jax.checkpoints import save_pretrained
from kcx_jax.corpora import Mention, ParallelRecord, Record, RelationLink, write_parallel, write_records
from kcx_jax.models import ModelConfig, init_params
from kcx_jax.tokenizer import train_tokenizer


@pytest.fixture
def silent():
    """A report that says nothing."""
    return lambda metrics: None


SCHEMA = '''
class Person(Entity):
    """A human being. Examples: Ada"""
class City(Entity):
    """A city."""
class BirthPlace(Relation):
    """Where a person was born."""
    head: Person
    tail: City
'''


def record(number: int, language: str = "en") -> Record:
    """`Ada12 lives in Rome.`, with both names marked and a relation."""
    name = f"Ada{number}"
    text = f"{name} lives in Rome."
    return Record(
        id=f"{language}{number}",
        language=language,
        text=text,
        entities=(
            Mention("e0", "Person", 0, len(name), name),
            Mention("e1", "City", text.index("Rome"), text.index("Rome") + 4, "Rome"),
        ),
        relations=(RelationLink("BirthPlace", "e0", "e1"),),
    )


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """A folder with a tiny base model, a schema, records in two languages and parallel data."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "schema.py").write_text(SCHEMA)
    records = [record(n, language) for n in range(20) for language in ("en", "es")]
    write_records(records, folder / "train.jsonl")
    pairs = [ParallelRecord(f"p{n}", record(n), record(n, "es")) for n in range(16)]
    write_parallel(pairs, folder / "parallel.jsonl")
    lines = [f'sentence = "{r.text}"\nresults = [Person("{r.entities[0].text}")]\n' for r in records]
    tokenizer = train_tokenizer([*lines, SCHEMA] * 4, 520, folder / "tokenizer")
    config = ModelConfig(vocab_size=520, hidden_size=32, intermediate_size=48, num_layers=2, num_heads=2)
    params = init_params(config, jax.random.key(0))
    save_pretrained(folder / "base", config, params, tokenizer)
    return folder


@pytest.fixture
def plain_config(material, tmp_path):
    """Values of a config of both stages, a few steps each, into a fresh run folder."""
    data = {"schema": str(material / "schema.py")}
    return {
        "model": str(material / "base"),
        "run_dir": str(tmp_path / "run"),
        "dtype": "float32",
        "rows_per_step": 2,
        "branches": 4,
        "shapes": 1,
        "lora": {"rank": 4},
        "stages": [
            {"kind": "align", "steps": 3, "data": [data | {"path": str(material / "parallel.jsonl")}]},
            {
                "kind": "extract",
                "steps": 4,
                "data": [data | {"path": str(material / "train.jsonl"), "tasks": ["ner", "re"]}],
            },
        ],
    }
