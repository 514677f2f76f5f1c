"""What the base reads: reproducible, in all languages, and never the demo's own task."""

import re

import pytest

from kcx_jax.demo.corpus import generate, schema
from kcx_jax.demo.exercises import usual_names
from kcx_jax.demo.reading import LESSONS, reading_trees
from kcx_jax.schema import TASKS, parse_answer


@pytest.fixture(scope="module")
def trees():
    return [tree for lesson in LESSONS for tree in reading_trees(lesson, 3, 80)]


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_same_seed_reads_the_same_and_another_does_not(lesson):
    trees = list(reading_trees(lesson, 3, 20))
    assert list(reading_trees(lesson, 3, 12)) == trees[:12]
    assert list(reading_trees(lesson, 4, 20)) != trees


def test_a_glossary_names_every_kind_of_name(trees):
    kinds = {other.lower() for other in usual_names().values()}
    written = {
        kind
        for tree in trees
        if tree.task == "glossary"
        for branch in tree.branches
        for kind in re.findall(r'" (\w+)(?:;|$)', branch.answer)
    }
    assert kinds <= written


def test_no_class_of_the_demos_schema_is_ever_shown(trees):
    known = {concept.name for concept in schema().concepts}
    for tree in trees:
        shown = set(re.findall(r"class (\w+)\(", tree.prefix))
        answered = {name for branch in tree.branches for name in re.findall(r"(\w+)\(", branch.answer)}
        assert not known & (shown | answered)


def test_exercises_are_answered_in_their_own_schema(trees):
    exercises = [tree for tree in trees if tree.schema.concepts]
    assert {tree.task for tree in exercises} == set(TASKS)
    for tree in exercises:
        for branch in tree.branches:
            parsed = parse_answer(branch.answer, tree.schema)
            assert not parsed.problems


def test_no_heldout_sentence_is_read(trees):
    heldout = [record.text for item in generate(0, 300, "heldout") for record in item.values()]
    text = "\n".join(branch.context + branch.answer for tree in trees for branch in tree.branches)
    assert not [sentence for sentence in heldout if sentence in text]
