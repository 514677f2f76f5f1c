"""Schemas of several corpora as one: equal classes are shared, different ones refused or renamed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.schema import Concept, Entity, Role, Schema, load_schema, merge_schemas

ONE = load_schema('''
class Person(Entity):
    """A human being."""
class City(Entity):
    """A town."""
class Capital(City): ...
class BirthPlace(Relation):
    head: Person
    tail: City
class Move(Event):
    who: list[Person]
    to: City | str
''')
OTHER = load_schema('''
class City(Entity):
    """A large town."""
class Person(Entity):
    """A human being."""
class BirthPlace(Relation):
    head: Person
    tail: City
class Knows(Relation):
    head: Person
    tail: Person
''')


def test_equal_classes_are_shared():
    assert merge_schemas({"a": ONE, "b": ONE}) == ONE
    assert merge_schemas({"a": ONE}) == ONE
    assert [c.name for c in merge_schemas({"a": ONE, "b": load_schema(["ship"])}).concepts][-1] == "Ship"


def test_different_classes_are_refused_with_both_places():
    with pytest.raises(
        UsageError, match=r"City.*in a: entity 'A town\.', in b: entity 'A large town\.'.*--suffix"
    ):
        merge_schemas({"a": ONE, "b": OTHER})
    with pytest.raises(UsageError, match="unknown schemas: c"):
        merge_schemas({"a": ONE}, {"c": "_c"})


def test_references_follow_a_renamed_class():
    merged = merge_schemas({"a": ONE, "b": OTHER}, {"b": "_b"})
    names = ["Person", "City", "Capital", "BirthPlace", "Move", "City_b", "BirthPlace_b", "Knows"]
    assert [concept.name for concept in merged.concepts] == names
    assert merged.by_name["BirthPlace_b"].roles == (Role("head", ("Person",)), Role("tail", ("City_b",)))
    both = merge_schemas({"a": ONE, "b": OTHER}, {"a": "_a", "b": "_b"}).by_name
    assert both["Capital"].parent == "City_a"
    assert both["Move"].roles[1] == Role("to", ("City_a", "str"))
    assert {"City_a", "City_b", "BirthPlace_a", "BirthPlace_b"} <= set(both)


def test_a_suffix_that_makes_a_taken_name_is_refused():
    taken = Schema((*ONE.concepts, Concept("City_b", "entity")))
    with pytest.raises(UsageError, match="the class City_b means different things"):
        merge_schemas({"a": taken, "b": OTHER}, {"b": "_b"})


def test_classes_of_python_stay_unless_they_are_renamed():
    class Person(Entity):
        """A human being."""

    class City(Entity):
        """A hamlet."""

    merged = merge_schemas({"a": ONE, "b": load_schema([City]), "c": load_schema([Person])}, {"b": "_b"})
    assert merged.classes["City_b"] is not City
    assert merge_schemas({"c": load_schema([Person])}).classes["Person"] is Person


descriptions = st.sampled_from(["", "x", "y"])


@given(st.lists(st.tuples(descriptions, descriptions, descriptions), min_size=1, max_size=4))
def test_every_class_of_every_schema_is_there_under_some_name(texts):
    schemas = {
        str(i): Schema(
            (
                Concept("A", "entity", None, a),
                Concept("B", "entity", "A", b),
                Concept("E", "event", None, e, (), (Role("r", ("B", "str")),)),
            )
        )
        for i, (a, b, e) in enumerate(texts)
    }
    merged = merge_schemas(schemas, {key: f"_{key}" for key in schemas})
    whole = {(c.description, merged.by_name[c.parent].description) for c in merged.entities if c.parent}
    assert whole == {(b, a) for a, b, _ in texts}
    events = {(e.description, merged.by_name[e.roles[0].types[0]].description) for e in merged.events}
    assert events == {(e, b) for _, b, e in texts}
    assert len(merged.events) == len(set(texts))
