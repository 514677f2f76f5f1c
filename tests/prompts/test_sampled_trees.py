"""What is drawn for a tree: all that its records have stays, and nothing leaks into its exemplars."""

import dataclasses
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, ParallelRecord, Record, RelationLink, Span
from kcx_jax.errors import UsageError
from kcx_jax.prompts import (
    ExemplarPool,
    PromptConfig,
    alignment_tree,
    answer_instances,
    extraction_prefix,
    extraction_tree,
    sample_alignment_trees,
    sample_schema,
    sample_trees,
)
from kcx_jax.schema import TASKS, load_schema, render_answer, render_schema

SCHEMA = load_schema('''
class Agent(Entity): pass
class Person(Agent):
    """A human being. Examples: Zoe, Yann"""
class Band(Agent):
    """Musicians."""
class City(Entity):
    """A town."""
class CityHall(Entity): pass
class Food(Entity): pass
class LivesIn(Relation):
    head: Agent
    tail: City
class Eats(Relation):
    head: Person
    tail: Food
class Meal(Event):
    """Eating. Triggers: dined"""
    eater: list[Person]
class Trip(Event):
    goal: City
''')


def record(number, name="Ann"):
    text = f"{name}{number} Ulm ate"
    end = len(name) + len(str(number))
    return Record(
        f"r{number}",
        "en",
        text,
        (Mention("a", "Person", 0, end, text[:end]), Mention("u", "City", end + 1, end + 4, "Ulm")),
        (RelationLink("LivesIn", "a", "u"),),
        (EventMention("Meal", Span(end + 5, end + 8, "ate"), (Argument("eater", entity="a"),)),),
        {"pair": {"mentions": ["a", "u"]}},
    )


RECORDS = [record(number) for number in range(3)]
POOL_RECORDS = [record(number, "Bob") for number in range(3, 9)]
POOL = ExemplarPool(RECORDS + POOL_RECORDS)
configs = st.builds(
    PromptConfig,
    negatives=st.none() | st.integers(0, 4),
    exemplars=st.none() | st.integers(0, 3),
    description_dropout=st.sampled_from([0, 0.5, 1.0]),
    shuffle=st.booleans(),
    max_classes=st.none() | st.integers(1, 3),
    max_tokens=st.none() | st.integers(600, 900),
    seed=st.integers(0, 9),
)


def answers(trees, place):
    return sorted(item for tree in trees for item in _items(tree, RECORDS[place], tree.task))


def _items(tree, of, task):
    return [render_answer([each]) for each in answer_instances(of, tree.schema, task)]


@settings(deadline=None)
@given(configs, st.sampled_from(TASKS), st.text(max_size=3))
def test_the_answers_of_drawn_trees_together_are_the_whole_answer(config, task, key):
    trees = sample_trees(RECORDS, SCHEMA, task, config, key, POOL, len)
    whole = extraction_tree(SCHEMA, RECORDS, task)
    for place, branch in enumerate(whole.branches):
        assert answers(trees, place) == answers([whole], place) != []
        assert all(tree.branches[place].context == branch.context for tree in trees)
    assert trees == sample_trees(RECORDS, SCHEMA, task, config, key, POOL, len)
    for tree in trees:
        assert config.max_tokens is None or len(tree.prefix) <= config.max_tokens
        assert load_schema(render_schema(tree.schema)) == tree.schema


PAIRS = [ParallelRecord(f"p{n}", record(n), record(n, "Ann-Marie ")) for n in range(3)]
PAIR_POOL = ExemplarPool([side for pair in PAIRS for side in (pair.source, pair.target)] + POOL_RECORDS)


@settings(deadline=None)
@given(configs, st.sampled_from(TASKS), st.text(max_size=3))
def test_alignment_trees_are_drawn_by_the_same_knobs(config, task, key):
    trees = sample_alignment_trees(PAIRS, SCHEMA, task, config, key, PAIR_POOL, len)
    assert trees == sample_alignment_trees(PAIRS, SCHEMA, task, config, key, PAIR_POOL, len)
    for place, pair in enumerate(PAIRS):
        for side in (pair.source, pair.target):
            wanted = [render_answer([each]) for each in answer_instances(side, SCHEMA, task)]
            assert sorted(item for tree in trees for item in _items(tree, side, task)) == sorted(wanted) != []
        assert all(tree.branches[place].record_id == pair.id for tree in trees)
    for tree in trees:
        assert tree == alignment_tree(tree.schema, PAIRS, task)
        if config.exemplars:
            shown = {each for concept in tree.schema.concepts for each in concept.exemplars}
            assert not any(each.startswith(("Ann", "(Ann")) for each in shown), "of the tree's own pairs"


def test_alignment_gives_no_pair_and_varies_nothing_by_default():
    for task in TASKS:
        (tree,) = sample_alignment_trees(PAIRS, SCHEMA, task, PromptConfig(), "k")
        assert tree == alignment_tree(SCHEMA, PAIRS, task)
    with pytest.raises(UsageError, match="pair is for extraction"):
        sample_alignment_trees(PAIRS, SCHEMA, "re", PromptConfig(pair=True), "k")


def test_a_limit_of_tokens_needs_their_counter():
    limit = len(extraction_prefix(SCHEMA, "ner")) - 1
    config = PromptConfig(max_tokens=limit)
    assert len(sample_trees(RECORDS, SCHEMA, "ner", config, "k", count_tokens=len)) == 2
    assert (
        len(sample_trees(RECORDS, SCHEMA, "ner", config, "k", count_tokens=lambda text: len(text) // 2)) == 1
    )
    with pytest.raises(UsageError, match="max_tokens needs count_tokens"):
        sample_trees(RECORDS, SCHEMA, "ner", config, "k")


def test_relations_and_events_show_pairs_and_triggers_of_other_records():
    for seed in range(10):
        config = PromptConfig(exemplars=2, seed=seed)
        relation = sample_schema(RECORDS, SCHEMA, "re", config, "k", POOL).by_name["LivesIn"]
        assert len(relation.exemplars) == 2
        assert set(relation.exemplars) <= {f"(Bob{number}, Ulm)" for number in range(3, 9)}
        event = sample_schema(RECORDS, SCHEMA, "ed", config, "k", POOL).by_name["Meal"]
        assert set(event.exemplars) == {"ate", "dined"}
    assert sample_schema(RECORDS, SCHEMA, "re", config, "k", POOL) == load_schema(
        render_schema(sample_schema(RECORDS, SCHEMA, "re", config, "k", POOL))
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_defaults_vary_nothing(task):
    assert not PromptConfig(max_tokens=9).varies
    assert not PromptConfig().varies
    assert sample_trees(RECORDS, SCHEMA, task, PromptConfig(), "k") == (
        extraction_tree(SCHEMA, RECORDS, task),
    )


def names(schema):
    return [each.name for each in schema.concepts]


def test_siblings_come_first_then_near_names():
    def shown(**knobs):
        return {
            tuple(names(sample_schema(RECORDS, SCHEMA, "ner", PromptConfig(seed=s, **knobs), "k")))
            for s in range(20)
        }

    assert shown(negatives=0) == {("Person", "City")}
    assert shown(negatives=2) == {("Agent", "Person", "Band", "City")}
    assert shown(negatives=3) == {("Agent", "Person", "Band", "City", "CityHall")}
    assert shown(negative_ratio=0.5) == {("Agent", "Person", "City"), ("Person", "Band", "City")}
    assert shown(negatives=9) == {tuple(names(SCHEMA.for_task("ner")))}
    empty = dataclasses.replace(RECORDS[0], entities=())
    assert len(names(sample_schema([empty], SCHEMA, "ner", PromptConfig(negatives=0), "k"))) == 1


def test_relations_keep_the_entity_classes_that_their_roles_need():
    assert names(sample_schema(RECORDS, SCHEMA, "re", PromptConfig(negatives=0), "k")) == [
        "Agent", "Person", "Band", "City", "LivesIn",
    ]  # fmt: skip


def test_exemplars_come_from_other_records_alone():
    for seed in range(30):
        sampled = sample_schema(
            RECORDS, SCHEMA, "ner", PromptConfig(exemplars=4, seed=seed), "k", POOL
        ).by_name
        assert len(sampled["Person"].exemplars) == 4
        assert set(sampled["Person"].exemplars) <= {f"Bob{number}" for number in range(3, 9)}
        assert sampled["City"].exemplars == ("Ulm",)  # which other records say too


def test_ids_and_texts_of_the_tree_are_both_barred():
    same_text = dataclasses.replace(RECORDS[0], id="copy")
    same_id = dataclasses.replace(record(7, "Cid"), id="r0")
    drawn = sample_schema(
        [RECORDS[0]], SCHEMA, "ner", PromptConfig(exemplars=3), "k", ExemplarPool([same_text, same_id])
    )
    assert set(drawn.by_name["Person"].exemplars) == {"Zoe", "Yann"}  # what the class declares fills up
    assert drawn.by_name["City"].exemplars == ()


@pytest.mark.parametrize("split", ["test", "DEV", "validation"])
def test_a_pool_from_an_evaluation_split_is_refused(split):
    marked = dataclasses.replace(RECORDS[1], meta={"split": split})
    with pytest.raises(UsageError, match=f"'r1' is of the split '{split}'"):
        ExemplarPool([RECORDS[0], marked])


def test_each_knob_draws_for_itself():
    base = PromptConfig(exemplars=2)
    more = PromptConfig(exemplars=2, description_dropout=1.0, shuffle=True)
    plain, varied = (sample_schema(RECORDS, SCHEMA, "ner", each, "k", POOL).by_name for each in (base, more))
    assert {name: each.exemplars for name, each in plain.items()} == {
        n: e.exemplars for n, e in varied.items()
    }
    assert any(each.description for each in plain.values())
    assert not any(each.description for each in varied.values())


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        ({"negatives": -1}, "negatives is -1"),
        ({"negatives": True}, "negatives is True"),
        ({"negatives": 1, "negative_ratio": 1.0}, "twice"),
        ({"negative_ratio": float("nan")}, "negative_ratio is nan"),
        ({"exemplars": 1.5}, "exemplars is 1.5"),
        ({"description_dropout": 1.1}, "description_dropout is 1.1"),
        ({"description_dropout": "x"}, "description_dropout is 'x'"),
        ({"max_classes": 0}, "max_classes is 0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"shuffle": 1}, "shuffle is 1"),
        ({"seed": "1"}, "seed is '1'"),
    ],
)
def test_a_wrong_setting_is_named(knobs, match):
    with pytest.raises(UsageError, match=match):
        PromptConfig(**knobs)


def test_another_process_with_another_hash_seed_draws_the_same():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_sampled_trees as t\n"
        "config = t.PromptConfig(negatives=3, exemplars=2, description_dropout=0.5, shuffle=True, seed=3)\n"
        "for task in t.TASKS:\n"
        "    sys.stdout.write(t.sample_trees(t.RECORDS, t.SCHEMA, task, config, 'k', t.POOL)[0].prefix)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, os.path.dirname(__file__)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != ""
