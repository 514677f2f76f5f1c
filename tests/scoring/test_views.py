"""Views: what a task shows, in one normal form; and real records there and back."""

from pathlib import Path

import pytest

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, read_records
from kcx_jax.corpora.record import Span
from kcx_jax.errors import UsageError
from kcx_jax.schema import Entity
from kcx_jax.scoring import ground, score, task_view

TEXT = "Rome: Ada met Bob, Eve in May"
RECORD = Record(
    "1",
    "en",
    TEXT,
    entities=(
        Mention("z", "Person", 19, 22, "Eve"),
        Mention("x", "Person", 6, 17, "Ada met Bob", ((6, 9), (14, 17))),
        Mention("y", "City", 0, 4, "Rome"),
        Mention("w", "Person", 19, 22, "Eve"),
    ),
    relations=(RelationLink("Near", "z", "y"), RelationLink("At", "w", "y")),
    events=(
        EventMention(
            "Meet",
            Span(10, 13, "met"),
            (
                Argument("time", start=26, end=29, text="May"),
                Argument("who", entity="z"),
                Argument("who", entity="x"),
            ),
        ),
        EventMention("Meet", Span(4, 13, ": Ada met", ((4, 5), (10, 13)))),
    ),
    meta={"source_labels": {"z": "PER"}},
)


def test_entities_in_the_order_of_the_text():
    view = task_view(RECORD, "ner")
    assert [(m.id, m.start, m.spans) for m in view.entities] == [
        ("e0", 0, ()),
        ("e1", 6, ()),
        ("e2", 19, ()),
        ("e3", 19, ()),
    ]
    assert (view.relations, view.events, view.meta) == (None, None, {})
    view.check()


def test_relations_and_the_entities_they_link():
    view = task_view(RECORD, "re")
    assert [m.text for m in view.entities] == ["Rome", "Eve"]
    assert view.relations == (RelationLink("At", "e1", "e0"), RelationLink("Near", "e1", "e0"))
    assert view.events is None


def test_events_with_and_without_arguments():
    view = task_view(RECORD, "ed")
    assert [(e.trigger, e.arguments) for e in view.events] == [
        (Span(4, 13, ": Ada met"), ()),
        (Span(10, 13, "met"), ()),
    ]
    assert view.entities is None
    view = task_view(RECORD, "eae")
    assert [m.text for m in view.entities] == ["Ada met Bob", "Eve"]
    time = Argument("time", start=26, end=29, text="May")
    assert view.events[1].arguments == (Argument("who", entity="e0"), Argument("who", entity="e1"), time)
    view.check()


@pytest.mark.parametrize("task", ["ner", "re", "ed", "eae"])
def test_a_view_is_its_own_view_and_what_is_not_annotated_stays_so(task):
    view = task_view(RECORD, task)
    assert task_view(view, task) == view
    bare = Record("1", "en", TEXT)
    assert task_view(bare, task) == bare


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match="known: ner"):
        task_view(RECORD, "pos")


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("wikineural/ru/test.first1000.conllu", "ru"),
        ("uner/zh_gsdsimp-ud-test.iob2", "zh"),
        ("cluener/dev.json", "zh"),
        ("masakhaner2/yor/test.txt", "yor"),
        ("wnut17/emerging.test.annotated", "en"),
        ("crossner/science/test.txt", "en"),
        ("hiner/validation.first2000.conll", "hi"),
    ],
)
def test_real_mentions_are_found_again(name: str, language: str, shared: Path):
    """Written as text in order and grounded; the worst of all real files measured is 99.48."""
    gold = list(read_records(shared / "data/ner" / name, language=language, inventory=None))[:500]
    classes = {type: type_class(type) for type in {m.type for record in gold for m in record.entities}}
    found = [
        ground(
            [classes[m.type](m.text) for m in task_view(r, "ner").entities], r.text, task="ner", id=r.id
        ).record
        for r in gold
    ]
    assert score(gold, found).f1("ner") >= 0.985


def type_class(name):
    return type(name, (Entity,), {})
