"""Two small benchmarks, a server that knows their answers, and configs over them."""

import pytest
import yaml

from kcx_jax.corpora import write_records
from kcx_jax.demo.corpus import generate, schema
from kcx_jax.evaluation.runs import load_config
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import TASKS, render_answer
from kcx_jax.testing.llm_server import ScriptedServer

ITEMS = generate(11, 120, "heldout")
RECORDS = {
    language: [item[language] for item in ITEMS if item["en"].entities][:24] for language in ("en", "zh")
}
SYSTEM = {"kind": "chat", "name": "chat", "model": "m", "concurrency": 4}


def code(record, wrong=0):
    """The right answers to a record, by task; the first `wrong` items of each left out."""
    return {task: render_answer(answer_instances(record, schema(), task)[wrong:]) for task in TASKS}


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "KCX_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    """Right in English, and short of an item in Chinese."""
    answers = {record.text: code(record) for record in RECORDS["en"]}
    answers |= {record.text: code(record, wrong=1) for record in RECORDS["zh"]}
    with ScriptedServer(answers) as running:
        yield running


@pytest.fixture
def corpora(tmp_path):
    """The folder of the two benchmarks."""
    for language, records in RECORDS.items():
        write_records(records, tmp_path / f"{language}.jsonl")
    # In YAML: Python reads code in one thread at a time (a fault of 3.11's), and the server does so in its own.
    classes = {
        each.name: {"description": each.description, "examples": list(each.exemplars)}
        for each in schema().entities
    }
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(classes, allow_unicode=True), encoding="utf-8")
    return tmp_path


@pytest.fixture
def config(corpora, server):
    """Call with changes for a config of both languages, answered by the chat model."""

    def make(*systems, name="run", sets=(), **changes):
        values = {
            "results": str(corpora / name),
            "samples": 50,
            "benchmarks": [
                {
                    "name": "{language}",
                    "path": f"{corpora}/{{language}}.jsonl",
                    "languages": ["en", "zh"],
                    "schema": str(corpora / "schema.yaml"),
                    "tasks": ["ner"],
                    "limit": 12,
                }
            ],
            "systems": list(systems) or [SYSTEM | {"base_url": server.base_url}],
        }
        path = corpora / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values | changes, allow_unicode=True), encoding="utf-8")
        return load_config(path, sets)

    return make
