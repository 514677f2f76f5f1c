"""What README and docs show is what happens: snippets are run, and every option they name exists."""

import json
import re
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from kcx_jax.prompts import PromptConfig
from kcx_jax.schema import ontology
from kcx_jax.testing.llm_server import ScriptedServer

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = ("bench", "data", "parallel", "review", "schema")
ENDPOINT = "http://localhost:8000/v1"
KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]
SENTENCE = "Ada Lovelace was born in London."
ANSWERS = {
    SENTENCE: {
        "ner": ' [Person("Ada Lovelace"), City("London")]',
        "re": ' [BirthPlace(Person("Ada Lovelace"), City("London"))]',
    }
}


def fences(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def commands(page: Path) -> list[list[str]]:
    """Every line of the page's shell snippets that calls kcx, as words."""
    joined = "\n".join(fences(page, "bash")).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in joined.splitlines() if line.startswith("kcx ")]


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(ANSWERS) as running:
        yield running


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_the_readmes_first_command_gives_the_output_shown(server, tmp_path):
    page = ROOT / "README.md"
    words = next(words for words in commands(page) if "--chat-model" in words)
    words = [word.replace(ENDPOINT, server.base_url) for word in words]
    done = run([*KCX, *words[1:]], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(fences(page, "json")[0])


def test_the_readmes_python_runs(server, tmp_path):
    (code,) = fences(ROOT / "README.md", "python")
    done = run([sys.executable, "-c", code.replace(ENDPOINT, server.base_url)], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Person Ada Lovelace 0 12\nCity London 25 31" in done.stdout
    assert "BirthPlace" in done.stdout


def test_the_python_on_the_page_of_schemas_runs_and_prints_what_is_shown():
    page = ROOT / "docs" / "schemas.md"
    done = run([sys.executable, "-X", "utf8", "-c", "\n".join(fences(page, "python"))])
    assert done.returncode == 0, done.stderr
    answers, *classes = fences(page, "text")
    assert done.stdout.startswith(answers)
    assert [line.split()[0] for line in done.stdout[len(answers) :].splitlines()] == [
        "leading_text", "unknown_class", "unquoted", "truncated"
    ]  # fmt: skip
    for dialect, source in zip(("kcx", "knowcoder", "gollie"), classes, strict=True):
        show = f'print(render_schema(schema, "{dialect}"))'
        done = run([sys.executable, "-X", "utf8", "-c", f"{fences(page, 'python')[0]}\n{show}"])
        assert source in done.stdout


def test_the_inventory_on_the_page_of_schemas_is_one(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(fences(ROOT / "docs" / "schemas.md", "yaml")[0], encoding="utf-8")
    schema = ontology.schema_for(str(path))
    assert [concept.name for concept in schema.concepts] == [
        "Person",
        "Location",
        "Gadget",
        "PartOf",
        "Investment",
    ]


def test_the_python_of_the_scoring_page_runs(tmp_path):
    codes = fences(ROOT / "docs" / "scoring.md", "python")
    done = run([sys.executable, "-c", "\n".join(codes)], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("strict 0.5\nb2ner 1.0\nknowcoder 1.5\n")
    assert done.stdout.splitlines()[-1] == "(1.0, 1.0) 0.000999000999000999"


def test_the_python_of_the_page_of_corpora_prints_what_is_shown(tmp_path):
    page = ROOT / "docs" / "corpora.md"
    done = run([sys.executable, "-X", "utf8", "-c", "\n".join(fences(page, "python"))], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "".join(fences(page, "text"))), done.stderr


def test_the_writers_commands_on_the_page_of_corpora_run(tmp_path):
    (tmp_path / "test.conllu").write_text("1\tAda\t" + "_\t" * 7 + "NER=B-Person\n\n", encoding="utf-8")
    entity = {"id": "e0", "type": "Person", "start": 0, "end": 3, "text": "Ada"}
    (tmp_path / "train.jsonl").write_text(json.dumps({"id": "r", "text": "Ada", "entities": [entity]}))
    (tmp_path / "schema.py").write_text("class Person(Entity):\n    pass\n")
    (tmp_path / "sentences.yaml").write_text("NER: Who is named?\n")
    shown = [words for words in commands(ROOT / "docs" / "corpora.md") if "--writer" in words]
    assert len(shown) == 3
    for words in shown:
        done = run([*KCX, *words[1:]], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "wrote 1 records" in done.stderr
    assert "Who is named?" in (tmp_path / "train.iepile.jsonl").read_text(encoding="utf-8")


def test_the_prompts_on_their_page_are_those_that_are_made():
    page = ROOT / "docs" / "prompts.md"
    done = run([sys.executable, "-X", "utf8", "-c", "\n".join(fences(page, "python"))])
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{fences(page, 'text')[0]}A human being. Examples: Alan\n")
    assert len(re.findall(r"^results = \[.+\]$", done.stdout, re.MULTILINE)) == 5
    PromptConfig(**yaml.safe_load(fences(page, "yaml")[0]))


def test_the_page_of_evaluation_runs_and_shows_the_table(tmp_path):
    page = ROOT / "docs" / "evaluation.md"
    data, api = fences(page, "python")
    assert run([sys.executable, "-c", data], cwd=tmp_path).returncode == 0
    (tmp_path / "first.yaml").write_text(fences(page, "yaml")[0], encoding="utf-8")
    command = next(words for words in commands(page) if words[-1] == "first.yaml")
    done = run([*KCX, *command[1:]], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert fences(page, "text")[0] in done.stdout
    done = run([sys.executable, "-c", f"from pathlib import Path\n{api}"], cwd=tmp_path)
    assert done.stdout.splitlines() == ["0 {}", "CRF tagger -> GLiNER -0.46"], done.stderr
    for words in commands(page):
        if words[1:3] == ["data", "sample"]:
            assert run([*KCX, *words[1:]], cwd=tmp_path).returncode == 0


def options_by_command() -> dict[tuple[str, ...], set[str]]:
    named: dict[tuple[str, ...], set[str]] = {}
    for page in PAGES:
        for words in commands(page):
            groups = list(takewhile(GROUPS.__contains__, words[1:]))
            path = tuple(words[1 : len(groups) + 2])
            named.setdefault(path, set()).update(word for word in words if word.startswith("--"))
    return named


@pytest.mark.parametrize("path", sorted(options_by_command()))
def test_every_command_and_option_named_in_the_docs_exists(path):
    done = run([*KCX, *path, "--help"], env={"COLUMNS": "200", "TERM": "dumb", "PATH": ""})
    assert done.returncode == 0, done.stderr
    missing = {option for option in options_by_command()[path] if option not in done.stdout}
    assert not missing


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        prose = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#]+)", prose):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
