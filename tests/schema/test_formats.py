"""Schemas of other projects: what is written is read back, what a format cannot hold is counted, damage is named."""

import ast
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from kcx_jax.errors import UsageError
from kcx_jax.schema import Concept, Role, Schema, load_schema, render_schema
from kcx_jax.schema.formats import FORMATS, export_schema, import_schema

texts = st.text("ab 李é😀\"'\\,:#\n", max_size=12).map(lambda text: " ".join(text.split()))
exemplars = st.lists(texts.filter(bool), max_size=3).map(tuple)


@st.composite
def schemas(draw):
    person = Concept("Person", "entity", None, draw(texts), draw(exemplars))
    king = Concept("King", "entity", draw(st.sampled_from([None, "Person"])), draw(texts), draw(exemplars))
    concepts = [person, king]
    if draw(st.booleans()):
        ends = (Role("head", ("Person",)), Role("tail", ("King", "Person")))
        concepts.append(Concept("Serves", "relation", None, draw(texts), (), ends))
    if draw(st.booleans()):
        roles = (Role("from", ("Person", "str"), draw(st.booleans())), Role("when", ("str",), True))
        concepts.append(Concept("Attack", "event", None, draw(texts), draw(exemplars), roles))
    return Schema(tuple(concepts))


def entities_of(schema):
    return Schema(schema.entities)


def without_parents(schema):
    def whole(concept):
        return Concept(
            concept.name,
            concept.kind,
            None,
            concept.description,
            concept.exemplars,
            schema.roles_of(concept.name),
        )

    return Schema(tuple(map(whole, schema.concepts)))


HELD = {
    "kcx": lambda schema: schema,
    "pydantic": lambda schema: schema,
    "json-schema": without_parents,
    "yaml": entities_of,
    "json": entities_of,
    "b2ner": lambda schema: Schema(
        tuple(Concept(c.name, "entity", None, c.description) for c in schema.entities)
    ),
}


@settings(deadline=None)
@given(schema=schemas(), name=st.sampled_from(sorted(HELD)))
def test_what_a_format_holds_comes_back(schema, name):
    text, lost = export_schema(schema, name)
    assert FORMATS[name].read(text, "x") == HELD[name](schema)
    whole = HELD[name](schema) == schema
    assert whole == (not lost)


def test_iepile_keeps_labels_and_what_belongs_to_what():
    lines = [
        ["人物_父亲_人物", "图书作品_作者_人物"],
        ["父亲", "作者"],
        {"人物": ["父亲"], "图书作品": ["作者"]},
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    schema = FORMATS["iepile"].read(text, "x")
    assert [concept.name for concept in schema.concepts] == ["RenWu", "TuShuZuoPin", "FuQin", "ZuoZhe"]
    assert schema.roles_of("ZuoZhe") == (Role("head", ("TuShuZuoPin",)), Role("tail", ("RenWu",)))
    written, lost = export_schema(schema, "iepile")
    assert [json.loads(line) for line in written.splitlines()] == lines
    assert not lost
    # What is written as Python keeps the label where a model reads it.
    assert "人物" in render_schema(schema)


@pytest.mark.parametrize("name", ["json", "json-schema", "b2ner"])
def test_a_lone_surrogate_can_be_written(name):
    schema = Schema((Concept("Person", "entity", None, "a \ud800 b"),))
    text, _ = export_schema(schema, name)
    text.encode("utf-8")
    assert FORMATS[name].read(text, "x").by_name["Person"].description == "a \ud800 b"


@pytest.mark.parametrize("task", ["NER", "RE", "SPO", "EE", "EET", "EEA", "KG"])
def test_the_real_schemas_of_iepile(shared, task):
    path = shared / "data" / "iepile_samples" / task / "schema.json"
    types, names, roles = (
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    )
    schema = import_schema(path, "iepile")
    ast.parse(render_schema(schema))
    assert load_schema(render_schema(schema)) == schema
    if task in ("SPO", "KG"):
        assert {concept.label for concept in schema.relations} == {label.split("_")[1] for label in types}
    else:
        assert {concept.label for concept in schema.concepts} == set(types or names)
    assert sum(len(c.roles) for c in schema.events) == (sum(map(len, roles.values())) if schema.events else 0)


class Person(BaseModel):
    """A human being, named."""

    text: str = Field(examples=["Ada", "李白"])


class Ruler(Person):
    country: str | None = None


class Acquisition(BaseModel):
    """One buys another."""

    buyer: Person
    bought: "list[Person | Ruler]"
    price: float = 0.0


class Knows(BaseModel):
    head: Person
    tail: Person


def test_pydantic_models_as_classes_and_as_their_own_json_schema():
    expected = load_schema(
        """
class Person(Entity):
    \"\"\"A human being, named. Examples: Ada, 李白\"\"\"
class Ruler(Entity):
    \"\"\"A human being, named. Examples: Ada, 李白\"\"\"
class Acquisition(Event):
    \"\"\"One buys another.\"\"\"
    buyer: Person
    bought: list[Person | Ruler]
    price: str
class Knows(Relation):
    head: Person
    tail: Person
"""
    )
    found = load_schema([Person, Ruler, Acquisition, Knows])
    assert {c.name: (c.kind, c.roles) for c in found.concepts} == {
        c.name: (c.kind, c.roles) for c in expected.concepts
    }
    assert found.by_name["Person"] == expected.by_name["Person"]
    outer = create_model("Outer", people=(list[Person], ...), deals=(list[Acquisition], ...))
    read = FORMATS["json-schema"].read(json.dumps(outer.model_json_schema()), "x")
    assert {"Person", "Acquisition"} <= set(read.by_name)


def test_a_source_of_models_is_read_and_not_run():
    source = """
from pydantic import BaseModel, Field, field_validator
raise SystemExit
class Person(BaseModel):
    model_config = {"frozen": True}
    text: str = Field(default="", examples=["Ada"])
    _private: int = 0
    @field_validator("text")
    def check(cls, value): return value
class Visit(BaseModel):
    from_: Person
    when: Optional[str] = None
"""
    schema = FORMATS["pydantic"].read(source, "x.py")
    assert [(c.name, c.kind, c.exemplars) for c in schema.concepts] == [
        ("Person", "entity", ("Ada",)),
        ("Visit", "event", ()),
    ]
    assert schema.roles_of("Visit") == (Role("from", ("Person",)), Role("when", ("str",)))


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("iepile", "[]\n", "x: expected three lines.*found 1"),
        ("iepile", "[1]\n[]\n{}\n", "x: expected three lines"),
        ("iepile", "[\n[]\n{}\n", "x:1: not JSON|x.*not JSON"),
        ("iepile", '["主演", "主眼"]\n[]\n{}\n', "'主演' and '主眼' both become class ZhuYan"),
        ("b2ner", "3", "x: expected an object"),
        ("b2ner", '{"a": 3}', "x: a: expected a description"),
        ("json-schema", '{"$defs": {"A": 3}}', "x: A: expected an object"),
        ("json-schema", "{}", "no definition"),
        ("pydantic", "class A: pass", "x: no class under BaseModel"),
        ("pydantic", "class A(BaseModel):\n    a: 3", "x:2: field 'a': cannot read the type"),
        ("pydantic", "class A(", "x:1: not Python"),
        ("pydantic", "class A(BaseModel): pass\nclass A(A): pass", "x:2: class A is declared twice"),
        ("b2ner", "[1]", "x: expected an object"),
        ("b2ner", '{"": "x"}', "x: a label is empty"),
    ],
)
def test_damage_is_named(name, text, problem):
    with pytest.raises(UsageError, match=problem):
        FORMATS[name].read(text, "x")


def test_unknown_formats_and_missing_files(tmp_path):
    with pytest.raises(UsageError, match="unknown format 'xml': one of kcx"):
        export_schema(load_schema(["a"]), "xml")
    with pytest.raises(UsageError, match="cannot read the schema"):
        import_schema(tmp_path / "none.json", "iepile")
