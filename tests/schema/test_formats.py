"""Schemas of other projects: what is written is read back, what a format cannot hold is counted, damage is named."""

import dataclasses
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from kcx_jax.errors import UsageError
from kcx_jax.schema import Concept, Role, Schema, load_schema, render_schema
from kcx_jax.schema.docstrings import one_line
from kcx_jax.schema.formats import FORMATS, export_schema, import_schema
from kcx_jax.schema.formats.field_notes import Note, with_notes, without_notes

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


def test_b2ner_takes_the_labels_of_several_corpora_together():
    corpora = {
        "news": {"person": "One.", "city": ["A town.", "Rome"]},
        "web": {"ship": None, "person": ["One.", "Two."], "city": ["Rome"]},
    }
    read = FORMATS["b2ner"].read(json.dumps(corpora), "x")
    described = [("person", "One. Two."), ("city", "A town. Rome"), ("ship", "")]
    assert [(c.label, c.description) for c in read.concepts] == described
    with pytest.raises(UsageError, match="x: web: ship: expected a description, or a list of them"):
        FORMATS["b2ner"].read(json.dumps({**corpora, "web": {"ship": 3}}), "x")


def references(value):
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from references(each)


ANY_ENTITY = """
class Person(Entity): ...
class Knows(Relation):
    head: Person
    tail: Entity
class Move(Event):
    who: list[Entity]
"""


def test_every_reference_of_an_exported_json_schema_leads_to_a_definition():
    for source in (ANY_ENTITY, "class Move(Event):\n    who: list[Entity]\n"):
        schema = load_schema(source)
        text, lost = export_schema(schema, "json-schema")
        value = json.loads(text)
        named = {f"#/$defs/{name}" for name in value["$defs"]}
        assert "#/$defs/Entity" in set(references(value)) <= named
        assert not lost
        assert FORMATS["json-schema"].read(text, "x") == schema


@pytest.mark.parametrize("name", ["json", "json-schema", "b2ner"])
def test_a_lone_surrogate_can_be_written(name):
    schema = Schema((Concept("Person", "entity", None, "a \ud800 b"),))
    text, _ = export_schema(schema, name)
    text.encode("utf-8")
    assert FORMATS[name].read(text, "x").by_name["Person"].description == "a \ud800 b"


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
        ("iepile", '["a"]\n["r"]\n{"b": ["r"]}\n', "x:3: 'b' has roles and is no type"),
        ("b2ner", "3", "x: expected an object"),
        ("b2ner", '{"a": 3}', "x: a: expected a description"),
        ("json-schema", '{"$defs": {"A": 3}}', "x: #/[$]defs/A: expected an object"),
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


odd = st.text(
    st.sampled_from("a \"'\\\n\r\t\x00\x85\u2028\u2029\ufeff\ud83d\ude00\u3000李é😀:;,#_.")
) | st.text(st.characters(exclude_categories=()), max_size=8)


@st.composite
def odd_schemas(draw):
    labels = st.none() | odd.filter(str.strip)

    def concept(name, kind, parent=None, roles=()):
        return Concept(
            name, kind, parent, draw(odd), tuple(draw(st.lists(odd, max_size=2))), roles, draw(labels)
        )

    notes = with_notes(
        draw(odd), {"who": Note(" ".join(draw(odd).split()), tuple(draw(st.lists(odd, max_size=2))))}
    )
    roles = (Role("who", ("Person", "Entity"), True), Role("Main___Sub", ("str",)))
    event = dataclasses.replace(concept("Attack", "event", None, roles), description=notes)
    ends = (Role("head", ("Person",)), Role("tail", ("Person", "King")))
    kinds = draw(st.sampled_from(["e", "er", "ev", "erv"]))
    return Schema(
        (
            concept("Person", "entity"),
            concept("King", "entity", draw(st.sampled_from([None, "Person"]))),
            *([concept("Serves", "relation", None, ends)] if "r" in kinds else []),
            *([event] if "v" in kinds else []),
        )
    )


def labels_of(schema):
    return [(concept.name, concept.label or concept.name) for concept in schema.concepts]


def assert_as_iepile_holds(schema, read, lost):
    """Classes of one kind, and the entities that relations link, by their labels alone; the rest is counted."""
    kinds = {"relation", "entity"} if schema.relations else {"event"} if schema.events else {"entity"}
    kept = [concept for concept in schema.concepts if concept.kind in kinds]
    dropped = sum(lost[f"{kind} classes"] for kind in ("entity", "relation", "event"))
    assert dropped == len(schema.concepts) - len(kept)
    key = {c.name: c.name if lost["labels"] else c.label or c.name for c in kept}
    found = {(concept.kind, concept.label): concept for concept in read.concepts}
    assert len(found) == len(read.concepts)
    assert set(found) == {(c.kind, key[c.name]) for c in kept}
    back = {c.name: found[c.kind, key[c.name]] for c in kept}
    assert sum(name != other.name for name, other in back.items()) == lost["names of classes"]
    changed = sum(len(set(schema.roles_of(name)) - set(other.roles)) for name, other in back.items())
    assert changed == lost["types of roles"] + lost["names of roles"]
    for concept in read.concepts:
        plain, notes = without_notes(concept.description)
        assert plain == one_line(concept.label)
        assert (concept.parent, concept.exemplars) == (None, ())
        assert not any(note.examples for note in notes.values())
        assert concept.kind != "event" or {(r.types, r.repeated) for r in concept.roles} == {
            (("Entity", "str"), True)
        }
    if not lost:
        assert not any(c.description not in ("", c.label) or c.exemplars or c.parent for c in kept)


@settings(deadline=None)
@given(schema=odd_schemas(), name=st.sampled_from(sorted(FORMATS)))
def test_any_text_comes_back_or_is_refused_or_counted(schema, name):
    try:
        text, lost = export_schema(schema, name)
    except UsageError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert re.search("surrogate|rename|declared twice", refused)
        return
    text.encode("utf-8")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "schema"
        path.write_text(text, encoding="utf-8", newline="")
        read = import_schema(path, name)
    if name == "iepile":
        assert_as_iepile_holds(schema, read, lost)
    elif not lost:
        assert read == schema
    if name in ("yaml", "json"):
        assert read == entities_of(schema)
        assert lost["labels"] or labels_of(read) == labels_of(entities_of(schema))
    if name == "b2ner" and not lost["names of classes"]:
        described = [(c.name, c.description) for c in schema.entities]
        assert [(c.name, c.description) for c in read.concepts] == described


@settings(deadline=None)
@given(
    odd,
    st.dictionaries(st.sampled_from("ab李"), st.builds(Note, odd.map(one_line), st.lists(odd).map(tuple))),
)
def test_notes_of_fields_come_out_of_a_description_again(description, notes):
    plain = one_line(description)
    said = {name: note for name, note in notes.items() if note != Note()}
    whole = with_notes(plain, notes)
    assert whole == one_line(whole)
    assert without_notes(whole) == (plain, said)


def test_what_is_said_of_fields_is_kept_where_a_model_reads_it():
    class Attack(BaseModel):
        trigger: str = Field(examples=["hit"])
        who: Person = Field(description='Who "did" it.')
        cost: float = Field(default=0.0, examples=[3.5])

    source = """
class Person(BaseModel):
    \"\"\"A human being, named.\"\"\"
    text: str = Field(examples=["Ada", "李白"])
class Attack(BaseModel):
    trigger: Annotated[str, Field(examples=["hit"])]
    who: Person = Field(description='Who "did" it.')
    cost: float = Field(default=0.0, examples=[3.5])
"""
    read = FORMATS["pydantic"].read(source, "x")
    assert read.by_name["Attack"].description == 'Fields: cost: examples "3.5"; who: "Who \\"did\\" it."'
    assert read.by_name["Attack"].exemplars == ("hit",)
    assert load_schema([Person, Attack]) == read
    for name in ("pydantic", "json-schema"):
        text, lost = export_schema(read, name)
        assert not lost
        assert "Fields" not in text
        assert FORMATS[name].read(text, "x") == read
    with pytest.raises(UsageError, match="x:2: field 'a': description: expected a text that is written out"):
        FORMATS["pydantic"].read("class A(BaseModel):\n    a: str = Field(description=f'{x}')", "x")


def definitions(**given):
    return json.dumps({"$defs": {"Person": {"type": "object"}, **given}})


def field(said):
    return definitions(A={"properties": {"trigger": {"type": "string"}, "x": said}})


PERSON = {"$ref": "#/$defs/Person"}


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({"anyOf": [PERSON, {"type": "null"}], "title": "X", "default": None}, Role("x", ("Person",))),
        ({"allOf": [PERSON], "default": {}}, Role("x", ("Person",))),
        ({"type": ["string", "null"]}, Role("x", ("str",))),
        (
            {"type": "array", "items": {"oneOf": [PERSON, {"type": "string"}]}},
            Role("x", ("Person", "str"), True),
        ),
        ({"type": "array"}, Role("x", ("str",), True)),
        ({"$ref": "#/$defs/Colour"}, Role("x", ("str",))),
        ({"$ref": "#/$defs/People"}, Role("x", ("Person",), True)),
    ],
)
def test_types_of_a_json_schema(said, role):
    value = json.loads(field(said))
    value["$defs"] |= {"Colour": {"enum": ["red"]}, "People": {"type": "array", "items": PERSON}}
    assert FORMATS["json-schema"].read(json.dumps(value), "x").by_name["A"].roles == (role,)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"$ref": "#/$defs/Nobody"}, 'x/[$]ref: "#/[$]defs/Nobody" leads to no definition'),
        ({"$ref": "https://example.org/a.json#/$defs/Person"}, "x/[$]ref: .*leads to no definition"),
        ({"$ref": 3}, "x/[$]ref: 3 leads to no definition"),
        ({"$ref": "#/$defs/Person", "anyOf": [PERSON]}, "x: [$]ref beside anyOf cannot be read"),
        ({"anyOf": []}, "x/anyOf: expected a list of types"),
        ({"anyOf": [PERSON, True]}, "x/anyOf/1: expected an object"),
        ({"allOf": [PERSON, {"type": "string"}]}, "x/allOf: a role cannot have several types at once"),
        ({"type": "array", "items": {"type": "array"}}, "x/items: a list in a list"),
        ({"type": 3}, "x/type: no type of JSON Schema: 3"),
        ({"properties": {"y": {}}}, "x: an object inside a field"),
        ({"examples": "a"}, "x/examples: expected a list"),
        ({"description": 3}, "x/description: expected a text"),
    ],
)
def test_a_json_schema_that_is_no_role_is_refused_with_its_path(said, problem):
    with pytest.raises(UsageError, match=f"file: #/[$]defs/A/properties/{problem}"):
        FORMATS["json-schema"].read(field(said), "file")


def test_cycles_parents_and_nesting_of_a_json_schema():
    child = {"allOf": [PERSON, {"properties": {"text": {"type": "string", "examples": ["Ada"]}}}]}
    read = FORMATS["json-schema"].read(definitions(King=child), "x")
    assert read.by_name["King"] == Concept("King", "entity", "Person", "", ("Ada",))
    cycle = definitions(
        A={"$ref": "#/$defs/B"}, B={"$ref": "#/$defs/A"}, C={"properties": {"c": {"$ref": "#/$defs/A"}}}
    )
    with pytest.raises(UsageError, match="cycle of references: A -> B -> A"):
        FORMATS["json-schema"].read(cycle, "x")
    parents = {
        name: {"allOf": [{"$ref": f"#/$defs/{other}"}, {"properties": {}}]} for name, other in ("AB", "BA")
    }
    with pytest.raises(UsageError, match="x: A stands under itself"):
        FORMATS["json-schema"].read(definitions(**parents), "x")
    deep = PERSON
    for _ in range(100):
        deep = {"anyOf": [deep]}
    with pytest.raises(UsageError, match="nested too deeply"):
        FORMATS["json-schema"].read(field(deep), "x")


def test_names_of_models_are_made_where_that_is_asked_for():
    text = json.dumps(
        {
            "$defs": {
                "Человек": {"type": "object"},
                "Визит": {"properties": {"кто": {"$ref": "#/$defs/Человек"}}},
            }
        }
    )
    with pytest.raises(UsageError, match="x: class name 'Человек' is no ASCII identifier"):
        FORMATS["json-schema"].read(text, "x")
    read = FORMATS["json-schema"].read(text, "x", True)
    assert [(c.name, c.label) for c in read.concepts] == [("Chelovek", "Человек"), ("Vizit", "Визит")]
    assert read.by_name["Vizit"].roles == (Role("kto", ("Chelovek",)),)
    assert "кто" in render_schema(read)


def test_labels_that_sound_the_same_are_told_apart_on_import():
    read = FORMATS["iepile"].read('["主演", "主眼"]\n[]\n{}\n', "x")
    assert {c.label for c in read.concepts} == {"主演", "主眼"}
    assert all(re.fullmatch("ZhuYan_[0-9a-f]{8}", c.name) for c in read.concepts)
    events = '["会"]\n["时间", "a__b"]\n{"会": ["时间", "a__b"]}\n'
    read = FORMATS["iepile"].read(events, "x")
    assert "时间" in render_schema(read)
    written, lost = export_schema(read, "iepile")
    assert [json.loads(line) for line in written.splitlines()] == [
        json.loads(line) for line in events.splitlines()
    ]
    assert not lost
