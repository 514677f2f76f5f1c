"""What an answer lists, and what it refuses to list."""

import dataclasses
import itertools

import pytest

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import load_schema, render_answer

SCHEMA = load_schema("""
class Person(Entity): pass
class City(Entity): pass
class BirthPlace(Relation): pass
class LivesIn(Relation): pass
class Travel(Event):
    traveler: list[Person]
    from_: City
    day: str
""")
TEXT = "Ada and Bob left Bath for Rome on Monday, and Bath wept."


def mention(id, type, surface, nth=0):
    start = -1
    for _ in range(nth + 1):
        start = TEXT.index(surface, start + 1)
    return Mention(id, type, start, start + len(surface), surface)


def span(surface):
    return make_span(TEXT, TEXT.index(surface), TEXT.index(surface) + len(surface))


MONDAY = span("Monday")
RECORD = Record(
    "r",
    "en",
    TEXT,
    (
        mention("rome", "City", "Rome"),
        mention("bath2", "City", "Bath", 1),
        mention("bath", "City", "Bath"),
        mention("bob", "Person", "Bob"),
        mention("ada", "Person", "Ada"),
    ),
    (
        RelationLink("LivesIn", "bob", "rome"),
        RelationLink("BirthPlace", "bob", "bath"),
        RelationLink("LivesIn", "ada", "bath"),
    ),
    (
        EventMention("Travel", span("wept")),
        EventMention(
            "Travel",
            span("left"),
            (
                Argument("day", start=MONDAY.start, end=MONDAY.end, text="Monday"),
                Argument("traveler", entity="bob"),
                Argument("from", entity="bath"),
                Argument("traveler", entity="ada"),
            ),
        ),
    ),
)
ANSWERS = {
    "ner": '[Person("Ada"), Person("Bob"), City("Bath"), City("Rome"), City("Bath")]',
    "re": '[LivesIn(Person("Ada"), City("Bath")), BirthPlace(Person("Bob"), City("Bath")), '
    'LivesIn(Person("Bob"), City("Rome"))]',
    "ed": '[Travel("left"), Travel("wept")]',
    "eae": '[Travel("left", traveler=[Person("Ada"), Person("Bob")], from_=[City("Bath")], day=["Monday"]), '
    'Travel("wept")]',
}


@pytest.mark.parametrize("task", ANSWERS)
def test_items_come_in_the_order_of_the_text_roles_in_that_of_the_schema(task):
    assert render_answer(answer_instances(RECORD, SCHEMA, task)) == ANSWERS[task]


@pytest.mark.parametrize("task", ANSWERS)
def test_the_order_of_annotation_changes_nothing(task):
    layers = itertools.product(
        itertools.permutations(RECORD.entities),
        [RECORD.relations, RECORD.relations[::-1]],
        [RECORD.events, RECORD.events[::-1]],
    )
    for entities, relations, events in itertools.islice(layers, 0, None, 37):
        shuffled = dataclasses.replace(RECORD, entities=entities, relations=relations, events=events)
        assert render_answer(answer_instances(shuffled, SCHEMA, task)) == ANSWERS[task]


def test_one_span_with_two_types_comes_in_one_order():
    twice = (Mention("a", "Person", 0, 3, "Ada"), Mention("b", "City", 0, 3, "Ada"))
    for entities in (twice, twice[::-1]):
        record = Record("r", "en", TEXT, entities)
        assert render_answer(answer_instances(record, SCHEMA, "ner")) == '[City("Ada"), Person("Ada")]'


def test_only_classes_of_the_schema_are_listed():
    schema = load_schema("class City(Entity): pass\nclass Travel(Event):\n    traveler: str\n    day: str\n")
    assert render_answer(answer_instances(RECORD, schema, "ner")) == (
        '[City("Bath"), City("Rome"), City("Bath")]'
    )
    assert answer_instances(RECORD, schema, "re") == []
    # No class for travellers: their spans are plain.
    assert render_answer(answer_instances(RECORD, schema, "eae")) == (
        '[Travel("left", traveler=["Ada", "Bob"], day=["Monday"]), Travel("wept")]'
    )


def test_a_relation_whose_ends_the_schema_cannot_name_is_an_error():
    schema = load_schema("class City(Entity): pass\nclass LivesIn(Relation): pass\n")
    with pytest.raises(KcxError, match=r"'r': LivesIn links 'Ada'.*no class Person"):
        answer_instances(RECORD, schema, "re")


@pytest.mark.parametrize(
    ("task", "layer"), [("ner", "entities"), ("re", "relations"), ("ed", "events"), ("eae", "events")]
)
def test_what_is_not_annotated_has_no_answer(task, layer):
    bare = Record("r", "en", TEXT)
    with pytest.raises(KcxError, match=f"'r' is not annotated with {layer}"):
        answer_instances(bare, SCHEMA, task)
    assert (
        answer_instances(dataclasses.replace(bare, entities=(), relations=(), events=()), SCHEMA, task) == []
    )


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match="unknown task 'nre'"):
        answer_instances(RECORD, SCHEMA, "nre")
