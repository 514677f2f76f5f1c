"""Answers of several tasks about one text are one record: same offsets, same thing."""

import pytest

from kcx_jax.corpora import Record
from kcx_jax.extraction.merge import merge
from kcx_jax.schema import Entity, Event, Relation
from kcx_jax.scoring import ground, task_view


class Person(Entity):
    pass


class City(Entity):
    pass


class Place(Entity):
    pass


class Lives(Relation):
    pass


class Move(Event):
    pass


class Fall(Event):
    pass


TEXT = "Ada moved to Rome; Bob moved to Rome and fell."
SOURCE = Record("r", "en", TEXT, meta={"page": 3})
ANSWERS = {
    "ner": [Person("Ada"), City("Rome"), Person("Bob"), City("Rome")],
    "re": [Lives(Person("Ada"), City("Rome")), Lives(Person("Bob"), City("Rome"))],
    "ed": [Move("moved"), Move("moved"), Fall("fell")],
    "eae": [Move("moved", who=[Person("Ada")], where=[City("Rome")]), Move("moved", who=[Person("Bob")])],
}


def _views(*tasks):
    return {task: ground(ANSWERS[task], TEXT, task=task).record for task in tasks}


@pytest.mark.parametrize("tasks", [("ner",), ("re",), ("eae",), ("ner", "re"), ("eae", "re", "ner")])
def test_each_task_shows_in_the_merged_record_what_it_found(tasks):
    views = _views(*tasks)
    merged = merge(SOURCE, views)
    merged.check()
    for task, view in views.items():
        if task == "ner":
            continue  # others may add mentions
        seen = task_view(merged, task)
        assert (seen.entities, seen.relations, seen.events) == (view.entities, view.relations, view.events)
    assert (merged.id, merged.language, merged.meta) == ("r", "en", {"page": 3})


def test_what_no_task_looked_for_is_not_annotated():
    merged = merge(SOURCE, _views("ed"))
    assert merged.entities is None
    assert merged.relations is None
    assert len(merged.events) == 3
    assert merge(SOURCE, _views("ner")).events is None


def test_one_mention_for_equal_offsets_and_type_in_the_order_of_the_text():
    merged = merge(SOURCE, _views("re", "ner", "eae"))
    assert [(m.id, m.text) for m in merged.entities] == [
        ("e0", "Ada"), ("e1", "Rome"), ("e2", "Bob"), ("e3", "Rome")
    ]  # fmt: skip


def test_mentions_of_another_type_stay_side_by_side():
    views = _views("ner")
    views["re"] = ground([Lives(Person("Ada"), Place("Rome"))], TEXT, task="re").record
    merged = merge(SOURCE, views)
    first_rome = TEXT.index("Rome")
    assert [m.type for m in merged.entities if m.start == first_rome] == ["City", "Place"]
    assert len(merged.entities) == 5


def test_an_event_without_arguments_gives_way_to_the_same_one_with_them():
    merged = merge(SOURCE, _views("ed", "eae"))
    assert [(e.type, e.trigger.text, len(e.arguments)) for e in merged.events] == [
        ("Move", "moved", 2), ("Move", "moved", 1), ("Fall", "fell", 0)
    ]  # fmt: skip


def test_what_was_not_resolved_in_any_task_is_noted():
    views = {
        "ner": ground([Person("Eve")], TEXT, task="ner").record,
        "re": ground([Lives(Person("Eve"), City("Rome"))], TEXT, task="re").record,
    }
    noted = merge(SOURCE, views).meta["unresolved"]
    assert [entry["task"] for entry in noted] == ["ner", "re"]
