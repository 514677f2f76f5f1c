"""Every form a schema may come in, and every way it may be wrong."""

import json
import pickle
import re
import types

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.schema import Concept, Entity, Event, Relation, Role, Schema, load_schema, render_schema
from kcx_jax.schema.concepts import RESERVED_NAMES
from kcx_jax.schema.labels import (
    role_name_of,
    role_spelling_of,
    transliterated_name,
    transliterated_role,
)

SOURCE = '''"""A file as a person writes it."""
from __future__ import annotations
from typing import List, Optional, Union
import kcx_jax.schema as kcx
from kcx_jax.schema import Entity, Event, Relation

class Person(Entity):
    """A human being,
    named.

    Examples: Ada Lovelace, 李白,
        "Washington, George"
    """

class Location(kcx.Entity): ...
class City(Location):
    """A town. Examples: London"""

class BirthPlace(Relation):
    """Where a person was born. Examples: "(Ada, London)" """
    head: Person
    tail: "Location"

class Conflict(Event):
    time: Optional[str]

class Attack(Conflict):
    """Violence. Triggers: attacked, 袭击"""
    attacker: list[Person | kcx.City]
    target: List[Union[Person, Location]]
    from_: "list[Location | None]"
    weapon: Entity | str
'''
CONCEPTS = (
    Concept(
        "Person", "entity", None, "A human being, named.", ("Ada Lovelace", "李白", "Washington, George")
    ),
    Concept("Location", "entity"),
    Concept("City", "entity", "Location", "A town.", ("London",)),
    Concept(
        "BirthPlace",
        "relation",
        None,
        "Where a person was born.",
        ("(Ada, London)",),
        (Role("head", ("Person",)), Role("tail", ("Location",))),
    ),
    Concept("Conflict", "event", roles=(Role("time", ("str",)),)),
    Concept(
        "Attack",
        "event",
        "Conflict",
        "Violence.",
        ("attacked", "袭击"),
        (
            Role("attacker", ("Person", "City"), True),
            Role("target", ("Person", "Location"), True),
            Role("from", ("Location",), True),
            Role("weapon", ("Entity", "str")),
        ),
    ),
)


def test_source_as_people_write_it(tmp_path):
    path = tmp_path / "schema.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert load_schema(path).concepts == CONCEPTS
    assert load_schema(str(path)).concepts == CONCEPTS
    assert load_schema(SOURCE).concepts == CONCEPTS


def test_a_module_and_its_classes_say_the_same_as_the_source():
    module = types.ModuleType("described")
    exec(SOURCE.replace("kcx.City", "City"), vars(module))
    assert load_schema(module).concepts == CONCEPTS
    classes = [getattr(module, concept.name) for concept in CONCEPTS]
    assert load_schema(classes).concepts == CONCEPTS
    assert load_schema(iter(classes)).classes["Attack"] is module.Attack


def test_runtime_annotations_are_read_without_the_future_import():
    class Person(Entity):
        pass

    class Married(Relation):
        head: Person
        tail: Person

    class Attack(Event):
        attacker: list[Person | str]
        target: Person | None

    schema = load_schema([Person, Married, Attack])
    assert schema.by_name["Married"].roles == (Role("head", ("Person",)), Role("tail", ("Person",)))
    assert schema.by_name["Attack"].roles == (
        Role("attacker", ("Person", "str"), True),
        Role("target", ("Person",)),
    )


def test_a_parent_that_is_not_listed_is_no_concept_but_its_roles_are_inherited():
    class Location(Entity):
        pass

    class City(Location):
        pass

    class Conflict(Event):
        where: City

    class Attack(Conflict):
        weapon: str

    schema = load_schema([City, Attack])
    assert schema.by_name["City"].parent is None
    assert [role.name for role in schema.by_name["Attack"].roles] == ["where", "weapon"]


def test_a_schema_file_is_never_run(tmp_path):
    trap = tmp_path / "ran"
    path = tmp_path / "schema.py"
    path.write_text(f"import os\nclass P(Entity):\n    x: open({str(trap)!r}, 'w')\n")
    with pytest.raises(UsageError, match=r"schema\.py:3.*cannot read the type"):
        load_schema(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class P(Entity:\n", r"schema.py:1: not Python"),
        ("\n\nclass P(Entity)\n    pass\n", r"schema.py:3: not Python: expected ':'"),
        ("x = 1\n", r"schema.py:1: only imports and classes"),
        ("class P:\n    pass\n", r"schema.py:1: class P needs one parent"),
        ("\nclass P(Robot):\n    pass\n", r"schema.py:2: class P needs one parent.*Robot"),
        ("class P(Entity, Event):\n    pass\n", r"schema.py:1: class P needs one parent"),
        ("class P(Entity, metaclass=M):\n    pass\n", r"schema.py:1: class P needs one parent"),
        ("class P(Entity):\n    def f(self): pass\n", r"schema.py:2: class P may hold"),
        ("class A(Event):\n    who: str = 'x'\n", r"schema.py:2: class A may hold"),
        ("class A(Event):\n    who: list[list[str]]\n", r"schema.py:2: role 'who'.*cannot read the type"),
        ("class A(Event):\n    who: 'list['\n", r"schema.py:2: role 'who'.*cannot read the type"),
        ("class A(Event):\n    who: Robot\n", r"schema.py: class A, role 'who': Robot is no entity class"),
        ("class A(Event):\n    who: None\n", r"schema.py: class A, role 'who': no type"),
        ("class A(Event):\n    who: str\n    who: str\n", r"schema.py: class A, role 'who': declared twice"),
        ("class P(Entity):\n    who: str\n", r"schema.py: class P: an entity has no roles"),
        ("class R(Relation):\n    who: Entity\n", r"schema.py: class R: a relation has the roles head and"),
        ("class R(Relation):\n    head: str\n", r"schema.py: class R, role 'head': one entity stands here"),
        ("class P(Entity): pass\nclass P(Entity): pass\n", r"schema.py: class P is declared twice"),
        ("class Event(Entity): pass\n", r"schema.py: class name 'Event' is taken"),
        ("class Größe(Entity): pass\n", r"schema.py: class name 'Größe' is no ASCII identifier"),
        ("", r"schema.py: no class and no label"),
        ("class P(Entity): pass\x00\n", r"schema.py.*not Python"),
        ("class A(Event):\n    x: " + " | ".join(["str"] * 20_000) + "\n", r"schema.py: nested too deeply"),
        ("(" * 100_000, r"schema.py"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_source_is_said_with_file_and_line(tmp_path, source, message):
    path = tmp_path / "schema.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        load_schema(path)
    assert len(str(caught.value)) < 500


def test_a_parent_of_another_kind_is_refused():
    person = Concept("Person", "entity")
    with pytest.raises(UsageError, match=r"Attack.*kind event.*Person of kind entity"):
        Schema((person, Concept("Attack", "event", "Person")))
    with pytest.raises(UsageError, match=r"City.*'Location' is not declared above"):
        Schema((Concept("City", "entity", "Location"), Concept("Location", "entity")))


def test_labels_become_classes_and_keep_their_own_name():
    schema = load_schema(["person", "birth place", "PER", "población", "3d model", "event", "组织", "none"])
    assert [(concept.name, concept.label) for concept in schema.concepts] == [
        ("Person", "person"),
        ("BirthPlace", "birth place"),
        ("PER", "PER"),
        ("Poblacion", "población"),
        ("_3dModel", "3d model"),
        ("Event_", "event"),
        ("Organization", "组织"),
        ("None_", "none"),
    ]
    assert load_schema(render_schema(schema)) == schema


@pytest.mark.parametrize("label", ["人物", "사람", "  人物 ", "شخص", "человек", "व्यक्ति", "άνθρωπος"])
def test_a_label_without_an_ascii_form_goes_through_the_ontology(label):
    (concept,) = load_schema([label]).concepts
    assert (concept.name, concept.label) == ("Person", label)
    assert concept.description


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["person", "Person"], r"'person' and 'Person' both become class Person"),
        (["person", "人物"], r"'person' and '人物' both become class Person"),
        (["飞碟"], r"'飞碟' has no ASCII form.*English label.*飞碟: \{name: FeiDie\}.*--auto.*Nearest"),
        (["person", "Person"], r"Person: \{name: Person2\}.*--auto"),
        (["person", "person"], r"'person' is listed twice"),
        ([" "], r"a label is empty"),
        (["!?"], r"'!\?' has no ASCII form"),
        ([], r"no class and no label"),
        ([3], r"found 3"),
    ],
)
def test_wrong_labels_say_what_to_do(labels, message):
    with pytest.raises(UsageError, match=message):
        load_schema(labels)


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
@pytest.mark.parametrize(
    ("value", "concepts"),
    [
        (["person", "birth place"], (Concept("Person", "entity"), Concept("BirthPlace", "entity"))),
        (
            {
                "location": "A place.",
                "city": {"description": "A town.", "examples": ["London", "a, b"], "parent": "location"},
                "ship": None,
            },
            (
                Concept("Location", "entity", None, "A place."),
                Concept("City", "entity", "Location", "A town.", ("London", "a, b")),
                Concept("Ship", "entity"),
            ),
        ),
    ],
)
def test_yaml_and_json(tmp_path, suffix, value, concepts):
    path = tmp_path / f"schema{suffix}"
    text = (
        json.dumps(value) if suffix == ".json" else yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    )
    path.write_text(text, encoding="utf-8")
    assert load_schema(path).concepts == concepts
    assert load_schema(value).concepts == concepts


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.yaml", "a: [\n", r"s.yaml:2: not YAML"),
        ("s.yaml", "person: x\nperson: y\n", r"s.yaml:2.*'person' is written twice"),
        ("s.yaml", "- yes\n- no\n", r"s.yaml: label True is no text: quote it"),
        ("s.yaml", "no: x\n", r"s.yaml:1.*'no' is no text: quote it"),
        ("s.yaml", "person: [x]\n", r"s.yaml: person: expected a description"),
        ("s.yaml", "person: {discription: x}\n", r"s.yaml: person: expected.*description, examples, parent"),
        ("s.yaml", "person: {description: 3}\n", r"s.yaml: person: description is no text"),
        ("s.yaml", "person: {examples: Ada}\n", r"s.yaml: person: examples is no list"),
        ("s.yaml", "city: {parent: place}\n", r"s.yaml: class City: its parent 'Place' is not declared"),
        ("s.yaml", "city: {name: 3}\n", r"s.yaml: city: the name 3 is no class name"),
        ("s.yaml", "city: {name: Event}\n", r"s.yaml: city: the name 'Event' is no class name"),
        ("s.yaml", "city: {parent: 3}\n", r"s.yaml: city: label 3 is no text"),
        ("s.yaml", "text\n", r"s.yaml: expected a list of labels"),
        ("s.yaml", "", r"s.yaml: expected a list of labels"),
        ("s.yaml", "\x00", r"s.yaml.*not YAML"),
        ("s.yaml", "!!python/object/apply:os.getcwd []\n", r"s.yaml:1: not YAML"),
        ("s.yaml", "[" * 1500, r"s.yaml"),
        ("s.json", '["a",\n', r"s.json:2: not JSON"),
        ("s.json", '{"a": "x", "a": "y"}', r"s.json: key 'a' is written twice"),
        ("s.json", "[" * 200_000, r"s.json"),
        ("s.txt", "person", r"s.txt is no schema file.*\.py, \.yaml"),
    ],
)
def test_what_is_wrong_with_a_data_file_is_said(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_schema(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the schema .*absent\.py: No such file"):
        load_schema(tmp_path / "absent.py")
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match=r"latin\.py: not UTF-8 at byte 5"):
        load_schema(tmp_path / "latin.py")
    with pytest.raises(UsageError, match=r"person is no schema file.*labels go in a list"):
        load_schema("person")
    for source in (Entity, 3, [Entity], [3]):
        with pytest.raises(UsageError):
            load_schema(source)


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path):
    path = tmp_path / "schema.py"
    path.write_bytes("\ufeffclass Person(Entity):\r\n    pass\r\n".encode())
    assert load_schema(path).concepts == (Concept("Person", "entity"),)


def test_each_task_sees_what_it_needs():
    schema = load_schema(SOURCE)
    names = {task: [c.name for c in schema.for_task(task).concepts] for task in ("ner", "re", "ed", "eae")}
    entities = ["Person", "Location", "City"]
    assert names == {
        "ner": entities,
        "re": [*entities, "BirthPlace"],
        "ed": ["Conflict", "Attack"],
        "eae": [*entities, "Conflict", "Attack"],
    }
    assert all(not concept.roles for concept in schema.for_task("ed").concepts)
    assert schema.for_task("eae").roles_of("Attack")[0].name == "time"  # inherited
    with pytest.raises(UsageError, match=r"unknown task 'rel': one of ner, re, ed, eae"):
        schema.for_task("rel")


def test_relations_without_roles_link_any_entities():
    schema = load_schema("class Near(Relation): pass\nclass Inside(Near):\n    tail: Entity\n")
    assert schema.roles_of("Inside") == (Role("head", ("Entity",)), Role("tail", ("Entity",)))


def test_a_schema_travels_between_processes():
    schema = load_schema(SOURCE)
    assert schema.classes["City"]("x") == pickle.loads(pickle.dumps(schema)).classes["City"]("x")
    assert pickle.loads(pickle.dumps(schema)) == schema


def test_classes_follow_their_parents():
    classes = load_schema(SOURCE).classes
    assert issubclass(classes["City"], classes["Location"])
    assert re.match("A town", classes["City"].__doc__)


def test_instances_are_equal_by_class_name_and_contents():
    first, second = load_schema(SOURCE).classes, load_schema(SOURCE).classes
    assert first["Person"]("Ada") == second["Person"]("Ada")
    assert len({first["Person"]("Ada"), second["Person"]("Ada"), first["City"]("Ada")}) == 2
    assert first["Person"]("Ada", 0, 3) != first["Person"]("Ada")
    attack = first["Attack"]("hit", weapon="stone", target=[])
    assert attack == second["Attack"]("hit", weapon=["stone"])
    assert attack != second["Attack"]("hit", weapon=["stick"])
    assert attack.arguments == {"weapon": ["stone"]}
    assert repr(attack) == 'Attack("hit", weapon=["stone"])'
    assert repr(first["Person"]("Ada", 0, 3)) == 'Person("Ada", start=0, end=3)'


def test_a_label_can_be_named_in_the_file():
    schema = load_schema(
        {"сотрудник": {"name": "Employee"}, "повар": {"name": "Cook", "parent": "сотрудник"}}
    )
    assert schema.concepts == (Concept("Employee", "entity"), Concept("Cook", "entity", "Employee"))
    assert [concept.label for concept in schema.concepts] == ["сотрудник", "повар"]


@pytest.mark.parametrize("form", [list, dict.fromkeys])
def test_labels_without_a_name_get_one_and_stay_where_a_model_reads_them(form):
    schema = load_schema(form(["сотрудник", "人", "地名 X", "person"]), auto=True)
    names = [concept.name for concept in schema.concepts]
    assert names[0] == "Sotrudnik"
    assert [concept.label for concept in schema.concepts] == ["сотрудник", "人", "地名 X", "person"]
    assert all(name.isascii() and name.isidentifier() for name in names)
    assert load_schema(render_schema(schema)) == schema
    assert "сотрудник" in render_schema(schema)
    assert "地名 X" in render_schema(schema)
    described = load_schema({"сотрудник": "Works for money."}, auto=True)
    assert described.concepts == (Concept("Sotrudnik", "entity", None, "сотрудник: Works for money."),)


MEETING = [
    "birth place",
    "BirthPlace",
    "Birth-Place",
    "李",
    "里",
    "Li",
    "!",
    "?",
    "person",
    "event",
    "Event_",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(MEETING) | st.text(min_size=1).filter(str.strip), unique=True, min_size=1))
def test_labels_that_meet_are_told_apart_whatever_their_order(labels):
    def names(labels):
        return {concept.label: concept.name for concept in load_schema(labels, auto=True).concepts}

    found = names(labels)
    assert len(set(found.values())) == len(labels)
    assert names(labels[::-1]) == found
    for label in labels:  # alone a label is called the same, unless it meets another
        (alone,) = names([label]).values()
        assert found[label] == alone or found[label].startswith(f"{alone}_")


def test_a_given_name_stays_when_another_label_meets_it():
    schema = load_schema({"сотрудник": {"name": "Cook"}, "cook": None}, auto=True)
    assert schema.concepts[0].name == "Cook"
    assert re.fullmatch(r"Cook_[0-9a-f]{8}", schema.concepts[1].name)


@given(st.text("ab_.", max_size=12) | st.from_regex(r"[A-Za-z_.]{1,8}", fullmatch=True))
@example("Treatment.Drug")
@example("Treatment__Drug")
@example("class")
def test_a_role_name_leads_back_to_the_corpuss_spelling(label):
    name = role_name_of(label)
    if name is None:
        assert re.search(r"[._]{7}|^$", label)
        return
    assert name.isidentifier()
    assert role_spelling_of(name) == label


def test_names_of_roles():
    spelled = {"Main.Sub": "Main__Sub", "Main__Sub": "Main___Sub", "sub-org": "sub_org", "from": "from"}
    assert {label: role_name_of(label) for label in spelled} == spelled
    assert role_name_of("3d") is role_name_of("角色") is role_name_of("a" + "_" * 7) is None


@given(st.text(min_size=1, max_size=12))
def test_every_label_gets_a_class_and_a_role_name_always_the_same(label):
    for name_of in (transliterated_name, transliterated_role):
        name = name_of(label)
        assert name.isascii()
        assert name.isidentifier()
        assert name == name_of(label)
    assert transliterated_name(label) not in RESERVED_NAMES


def test_names_say_how_a_label_sounds():
    assert transliterated_name("人物") == "RenWu"
    assert transliterated_name("сотрудник") == "Sotrudnik"
    assert transliterated_name("birth place") == "BirthPlace"
    assert transliterated_role("裁员方") == "cai_yuan_fang"
    assert transliterated_name("\u200b").startswith("Label_")
