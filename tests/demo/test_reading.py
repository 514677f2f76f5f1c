"""What the base reads: reproducible, in all languages, and never the demo's own task."""

import hashlib
import re

import pytest

from kcx_jax.demo.corpus import CONSTRUCTED, LANGUAGES, generate, in_language, schema
from kcx_jax.demo.exercises import usual_names
from kcx_jax.demo.reading import LANGUAGE_NAMES, LESSONS, reading_trees
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


@pytest.mark.parametrize(
    ("lesson", "digest"),
    [
        ("words", "1126214945b1d71e42749a0a736b22ac0d186e562aa49d9b6b0a497b53bc8476"),
        ("single names", "f48e43fa5f8e164e3072c54071b3ec53e60fdad9204ad6e7f5072a55565d25f8"),
        ("exercises", "0f0b0e2313027c6b2198a86612fd2915d5c9ac5a9fe5c88304684670278e45e0"),
    ],
)
def test_the_shipped_base_could_be_read_again(lesson, digest):
    """What it read, to the letter: the languages that may be added are drawn only when they are asked for."""
    read = [(tree.task, tree.prefix, tree.branches) for tree in reading_trees(lesson, 3, 60)]
    assert hashlib.sha256(repr(read).encode()).hexdigest() == digest


def test_a_base_may_read_constructed_languages_too():
    languages = (*LANGUAGES, *CONSTRUCTED, *CONSTRUCTED)
    trees = [tree for lesson in LESSONS for tree in reading_trees(lesson, 3, 120, languages)]
    read = "\n".join(branch.context + branch.answer for tree in trees for branch in tree.branches)
    heldout = [item for item in generate(0, 300, "heldout") if item["en"].entities]
    for language in CONSTRUCTED:
        assert not [item for item in heldout if in_language(item, language).text in read]
        assert f"{LANGUAGE_NAMES[language]}:" in read
    for tree in trees:
        if tree.schema.concepts:
            assert not any(parse_answer(branch.answer, tree.schema).problems for branch in tree.branches)
