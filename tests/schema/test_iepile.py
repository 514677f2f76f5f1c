"""The schemas of IEPile: labels and what belongs to what are kept, what changes is counted."""

import ast
import json

import pytest

from kcx_jax.schema import Concept, Role, Schema, load_schema, render_schema
from kcx_jax.schema.formats import FORMATS, export_schema, import_schema


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


def test_a_role_of_which_only_examples_are_said_keeps_its_name():
    said = Concept(
        "Attack", "event", None, 'Fields: who: examples "Ada"', (), (Role("who", ("Entity", "str"), True),)
    )
    text, lost = export_schema(Schema((said,)), "iepile")
    assert [json.loads(line) for line in text.splitlines()] == [["Attack"], ["who"], {"Attack": ["who"]}]
    assert lost == {"descriptions": 1}


def test_iepile_counts_what_it_changes():
    schema = load_schema("""
class Person(Entity): ...
class City(Entity): ...
class Knows(Relation):
    head: Person
    tail: Entity
""")
    text, lost = export_schema(schema, "iepile")
    assert text.startswith('["Person_Knows_Entity"]')
    assert lost == {"entity classes": 1, "types of roles": 1}
    named = Schema((Concept("Human", "entity", label="person"),))
    assert export_schema(named, "iepile")[1] == {"names of classes": 1}
    event = Schema(
        (Concept("Attack", "event", roles=(Role("who", ("Entity", "str"), True), Role("At", ("str",)))),)
    )
    assert export_schema(event, "iepile")[1] == {"types of roles": 1}


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
