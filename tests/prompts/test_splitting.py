"""A large schema in several prompts: nothing lost, nothing twice, nothing over the budget."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, ParallelRecord, Record, RelationLink, Span
from kcx_jax.errors import UsageError
from kcx_jax.prompts import alignment_tree, answer_instances, extraction_prefix, split_schema
from kcx_jax.schema import TASKS, load_schema, parse_answer, render_answer

SCHEMA = load_schema('''
class Agent(Entity): pass
class Person(Agent):
    """A human being."""
class City(Entity): pass
class Food(Entity): pass
class LivesIn(Relation):
    head: Agent
    tail: City
class BornIn(LivesIn): pass
class Eats(Relation):
    head: Person
    tail: Food
class Meal(Event):
    eater: list[Agent]
class Feast(Meal):
    dish: Food
class Trip(Event):
    goal: City
''')
LISTED = {"ner": SCHEMA.entities, "re": SCHEMA.relations, "ed": SCHEMA.events, "eae": SCHEMA.events}
ENTITIES = tuple(
    Mention(f"e{place}", name, start, start + 3, text)
    for place, (name, start, text) in enumerate(
        (("Person", 0, "Ann"), ("City", 4, "Ulm"), ("Food", 8, "pie"))
    )
)
RECORD = Record(
    "r",
    "en",
    "Ann Ulm pie ate",
    ENTITIES,
    tuple(
        RelationLink(name, head, tail)
        for name, head, tail in (("LivesIn", "e0", "e1"), ("BornIn", "e0", "e1"), ("Eats", "e0", "e2"))
    ),
    tuple(
        EventMention(name, Span(12, 15, "ate"), arguments)
        for name, arguments in (
            ("Meal", (Argument("eater", entity="e0"),)),
            ("Feast", (Argument("eater", entity="e0"), Argument("dish", entity="e2"))),
            ("Trip", (Argument("goal", entity="e1"),)),
        )
    ),
)


def items(schema, task):
    """What an answer lists, as written: the classes are made per schema, so that instances differ."""
    return Counter(render_answer([each]) for each in answer_instances(RECORD, schema.for_task(task), task))


@given(st.sampled_from(TASKS), st.integers(1, 5), st.integers(250, 900))
def test_the_groups_hold_each_class_once_and_keep_the_limits(task, classes, tokens):
    groups = split_schema(SCHEMA, task, classes, tokens)
    kind = LISTED[task][0].kind
    names = [[each.name for each in group.concepts if each.kind == kind] for group in groups]
    assert [name for group in names for name in group] == [each.name for each in LISTED[task]]
    assert all(len(each) <= classes for each in names)
    assert all(len(extraction_prefix(group, task)) <= tokens for group in groups)


@given(st.sampled_from(TASKS), st.integers(1, 5))
def test_the_answers_of_the_groups_together_are_the_whole_answer(task, classes):
    groups = split_schema(SCHEMA, task, classes)
    assert items(SCHEMA, task)
    parts: Counter[str] = sum((items(group, task) for group in groups), Counter())
    assert parts == items(SCHEMA, task)


def test_a_class_that_does_not_fit_is_named():
    with pytest.raises(UsageError, match=r"class Agent .* more than max_tokens 20"):
        split_schema(SCHEMA, "ner", max_tokens=20)
    with pytest.raises(UsageError, match="max_classes is 0"):
        split_schema(SCHEMA, "ner", 0)


@given(st.sampled_from(TASKS), st.integers(1, 5))
def test_alignment_of_the_groups_together_is_the_whole_alignment(task, classes):
    pair = ParallelRecord("p", RECORD, dataclasses.replace(RECORD, language="de"))

    def sides(schema):
        tree = alignment_tree(schema, [pair], task)
        (branch,) = tree.branches
        source = branch.context.splitlines()[1].removeprefix("source_results =")
        return [
            Counter(render_answer([each]) for each in parse_answer(side, tree.schema).instances)
            for side in (source, branch.answer)
        ]

    groups = [sides(group) for group in split_schema(SCHEMA, task, classes)]
    for place, whole in enumerate(sides(SCHEMA)):
        assert whole == items(SCHEMA, task)
        assert sum((group[place] for group in groups), Counter()) == whole
