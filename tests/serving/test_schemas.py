"""A schema in a request is read; it is never run, and opens no file."""

import builtins
import io

import pytest

from kcx_jax.errors import UsageError
from kcx_jax.serving import schemas
from kcx_jax.serving.schemas import MOST_CHARACTERS, MOST_CLASSES, SchemaBook, read_schema

SOURCE = 'class Person(Entity):\n    """A human being."""\n\n\nclass Meeting(Event):\n    who: list[Person]\n'


@pytest.fixture
def no_file(monkeypatch):
    """Every way to open a file fails."""

    def opened(*args, **options):
        raise AssertionError(f"opened {args}")

    read_schema(["person", "人物"])  # the ontology's own files are read now
    for place, name in ((builtins, "open"), (io, "open"), (io, "open_code")):
        monkeypatch.setattr(place, name, opened)


@pytest.mark.parametrize(
    "hostile",
    [
        "/etc/passwd",
        "configs/ner_news.py",
        "../schema.yaml",
        "file:///etc/passwd",
        '__import__("os").system("touch hacked")',
        'class A(Entity):\n    x: __import__("os").system("touch hacked")',
        'class A(Entity):\n    """a"""\n    open("hacked", "w")',
        "class A(Entity): pass\nimport os; os.abort()",
        "class A(Entity):\n    x: '" + "(" * 5_000 + "'",
        "(" * 100_000,
        "-" * 100_000 + "1",
        "a" + ".a" * 90_000,
        "class A(Event):\n    x: " + "list[" * 5_000,
        "class A(Event):\n    x: " + " | ".join(["A"] * 20_000),
        "x = " + "9" * 5_000,
        "class A(Entity):\n    x: " + "9" * 5_000,
        "class \x00(Entity): pass",
        "class A(Entity): pass\nclass A(Entity): pass",
        "class A(B): pass",
        "#" * (MOST_CHARACTERS + 1),
        "",
        "\n",
        "".join(f"class A{number}(Entity): pass\n" for number in range(MOST_CLASSES + 1)),
    ],
)
def test_source_that_is_no_schema_is_refused_in_words(hostile, no_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        read_schema(hostile)
    assert str(refused.value).startswith("schema")
    assert not list(tmp_path.iterdir())


def test_imports_in_a_source_are_passed_over(no_file):
    run = 'class Hacked(__import__("os").abort().Entity):\n    pass\n'
    schema = read_schema("import os, antigravity\nfrom nowhere import *\n" + SOURCE + run)
    assert [concept.name for concept in schema.concepts] == ["Person", "Meeting", "Hacked"]


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"person": 3},
        {"person": {"parent": {"parent": {}}}},
        {"person": {"file": "/etc/passwd"}},
        {"person": {"examples": "x"}},
        {"": None},
        ["a", "a"],
        [f"label {number}" for number in range(MOST_CLASSES + 1)],
        {"a": "b" * MOST_CHARACTERS},
    ],
)
def test_data_that_is_no_schema_is_refused_in_words(data, no_file):
    with pytest.raises(UsageError) as refused:
        read_schema(data)
    assert str(refused.value).startswith("schema")


def test_labels_in_any_script_become_classes_and_keep_their_names(no_file):
    schema = read_schema(["person", "город", "人物"])
    assert [concept.label for concept in schema.concepts] == ["person", "город", "人物"]
    assert all(concept.name.isascii() for concept in schema.concepts)


def test_readers_are_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(schemas, "_KEPT", 3)
    made = []
    book = SchemaBook({"news": read_schema(SOURCE)}, lambda *asked: made.append(asked) or object())
    first = book.reader(["a"], None, None, "strict")
    assert book.reader(["a"], None, None, "strict") is first
    assert book.reader(["a"], None, None, "ladder") is not first
    assert book.reader(["a"], None, ["ner"], "strict") is not first
    assert book.reader(None, "news", None, "strict") is book.reader(None, "news", None, "strict")
    assert len(made) == 4
    assert book.reader(["a"], None, None, "strict") is not first, "it was the oldest of four"
    assert len(book._kept) == 3


def test_a_label_list_is_not_taken_for_a_source_of_the_same_spelling():
    book = SchemaBook({}, lambda schema, *_: schema)
    assert book.reader({"a": None}, None, None, "strict") is not book.reader(["a"], None, None, "strict")
    with pytest.raises(Exception, match="schema"):
        book.reader("['a']", None, None, "strict")
