"""A schema's format by its content: every format's own export, look-alikes, and damage."""

import json

import pytest

from kcx_jax.errors import UsageError
from kcx_jax.schema import load_schema, render_schema
from kcx_jax.schema.formats import FORMATS, detect_format, detected, export_schema, import_schema
from kcx_jax.schema.ontology import inventories, schema_for

WHOLE = load_schema('''
class Person(Entity):
    """A human being. Examples: Ada, 李白"""
class King(Person): ...
class City(Entity): ...
class BirthPlace(Relation):
    """Where one was born."""
    head: Person
    tail: City
class Move(Event):
    """A change of place. Triggers: moved"""
    who: list[Person]
    to: City | str
''')
PARTS = [WHOLE, *(WHOLE.for_task(task) for task in ("ner", "re", "eae")), load_schema(["ship"])]


@pytest.mark.parametrize("schema", PARTS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file", ["schema", "schema.py", "schema.json"])
def test_an_export_is_told_whatever_its_file_is_called(tmp_path, name, file, schema):
    path = tmp_path / file
    path.write_text(export_schema(schema, name)[0], encoding="utf-8")
    found = detected(path)
    assert import_schema(path) == import_schema(path, name)
    assert found.format == name or (name == "b2ner" and found.format == "json" and "b2ner" in found.doubt)
    assert bool(found.doubt) == (name == "b2ner")


@pytest.mark.parametrize("name", ["kcx", "knowcoder", "gollie", "pydantic"])
def test_damaged_python_is_told_and_refused_with_its_line(tmp_path, name):
    path = tmp_path / "schema"
    text = export_schema(WHOLE, name)[0]
    path.write_text(text.replace("class King(Person):", "class King(Person)"), encoding="utf-8")
    assert detected(path).format == name
    with pytest.raises(UsageError, match=r"schema:\d+: not Python"):
        import_schema(path)


def cut(text):
    return text.rstrip()[: len(text) * 2 // 3]


@pytest.mark.parametrize("name", ["json", "json-schema", "b2ner"])
def test_json_that_is_cut_off_is_refused_with_its_line(tmp_path, name):
    path = tmp_path / "schema"
    path.write_text(cut(export_schema(WHOLE, name)[0]), encoding="utf-8")
    with pytest.raises(UsageError, match=r"schema:\d+: not JSON"):
        import_schema(path)


def test_iepile_is_told_by_its_three_lines_even_when_one_is_damaged(tmp_path):
    path = tmp_path / "schema"
    path.write_text('["a", "b"\n[]\n{}\n', encoding="utf-8")
    assert detected(path).format == "iepile"
    with pytest.raises(UsageError, match=r"schema:1.*not JSON"):
        import_schema(path)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ('["person"]', "json"),
        ("[person, city]", "yaml"),
        ("{person: A human being.}", "yaml"),
        ("- person\n- city\n", "yaml"),
        ('{"person": null, "city": {"examples": ["Rome"]}}', "json"),
        ('{"news": {"person": "One.", "city": ["A town.", "Rome"]}}', "b2ner"),
        ('{"person": ["One.", "Ada"], "city": "A town."}', "b2ner"),
        ('{"definitions": {"A": {"type": "object"}}}', "json-schema"),
        ('{"definitions": "Texts that define.", "person": ""}', "json"),
        ('{"title": "A", "type": "object", "properties": {"text": {"type": "string"}}}', "json-schema"),
        ("title: x\nentities:\n  Person: PER\n", "inventory"),
        ("title: What a book is called.\nentities: Things.\nauthor:\n", "yaml"),
        ("title: Of a book.\nentities: {description: Things.}\n", "yaml"),
        ("import x\nclass A(Entity):\n    pass\n", "kcx"),
        ("class A(pydantic.BaseModel): ...", "pydantic"),
    ],
)
def test_look_alikes(text, format):
    assert detect_format(text, "x").format == format


def test_what_has_signs_of_two_formats_says_so():
    found = detect_format("@dataclass\nclass A(BaseModel): ...", "x")
    assert (found.format, found.doubt) == ("pydantic", "it has signs of pydantic and of gollie")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x: there is nothing in it"),
        (" \n", "x: there is nothing in it"),
        ("just words", "x: no format of a schema.*--from FORMAT"),
        ("3", "x: JSON, and in no form of a schema.*--from FORMAT"),
        ("{}", "x: JSON, and in no form"),
        ('[{"id": "1", "text": "Ada"}]', "x: JSON, and in no form"),
        ('{"a": 1}', "x: JSON, and in no form"),
        ('{"a": "b", "a": "c"}', "x: key 'a' is written twice"),
        ("a: b\na: c\n", "x:2: not YAML: key 'a' is written twice"),
        ("a: [b\n", "x:2: not YAML"),
        ("[" * 100_000, "nested too deeply"),
        ("\x00", "x: not YAML|x:1: not YAML"),
    ],
)
def test_what_is_no_schema_is_refused(text, problem):
    with pytest.raises(UsageError, match=problem):
        detect_format(text, "x")


def test_inventories_by_name_and_by_file(tmp_path, monkeypatch):
    for name in inventories():
        assert detected(name).format == "inventory"
    assert import_schema("cluener") == schema_for("cluener")
    assert import_schema("cluener", language="zh") == schema_for("cluener", "zh")
    own = tmp_path / "own.yaml"
    own.write_text("title: Own\nsource: here\nentities:\n  Person: PER\n", encoding="utf-8")
    assert [(c.name, c.label) for c in import_schema(own).concepts] == [("Person", "PER")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluener").write_text(json.dumps(["ship"]))
    found = detected("cluener")
    assert (found.format, "--from inventory" in found.doubt) == ("json", True)
    assert render_schema(import_schema("cluener")) == render_schema(load_schema(["ship"]))


def test_bytes_and_names_that_lead_nowhere(tmp_path):
    path = tmp_path / "schema.json"
    path.write_bytes(b'["\xff"]')
    with pytest.raises(UsageError, match=r"schema\.json: not UTF-8 at byte 2"):
        detected(path)
    with pytest.raises(UsageError, match="no such file, and no inventory of that name"):
        import_schema("cluner")
    with pytest.raises(UsageError, match=r"cannot read the schema .*: Is a directory"):
        import_schema(tmp_path)
