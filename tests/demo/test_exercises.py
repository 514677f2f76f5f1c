"""Exercises under other names: the table covers the schema, and an answer says what the record does."""

import re
from random import Random

import pytest

from kcx_jax.demo.corpus import LANGUAGES, generate, schema
from kcx_jax.demo.corpus.tables import lines
from kcx_jax.demo.exercises import TABLE, renamed_exercise
from kcx_jax.schema import TASKS, parse_answer


@pytest.fixture(scope="module")
def records():
    return [item[language] for item in generate(5, 60, "train") for language in LANGUAGES]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(4))
def test_answers_stay_in_their_schema_and_their_sentences(records, task, seed):
    tree = renamed_exercise(Random(seed), records, task)
    assert tree.schema.concepts
    for branch, record in zip(tree.branches, records, strict=True):
        parsed = parse_answer(branch.answer, tree.schema)
        assert not parsed.problems
        assert all(surface in record.text for surface in re.findall(r'"([^"]*)"', branch.answer))


def test_whole_covers_keep_every_relation_and_event(records):
    """All eight relations drawn: as many answers as the records have relations."""
    for seed in range(30):
        tree = renamed_exercise(Random(seed), records, "re")
        if len(tree.schema.relations) == len(schema().relations):
            answers = [parse_answer(branch.answer, tree.schema).instances for branch in tree.branches]
            assert sum(map(len, answers)) == sum(len(record.relations) for record in records)
            return
    pytest.fail("no seed drew every relation")


def test_every_concept_and_role_has_another_name_and_none_is_a_class_of_the_demo():
    names = {concept.name for concept in schema().concepts}
    covered, roles, section = set(), set(), ""
    for _, line in lines(TABLE):
        if line.startswith("["):
            section = line
            continue
        first, *others = (cell.strip() for cell in line.split("|"))
        if section == "[role]":
            roles.add(first)
        else:
            if len(first.split()) == 1:
                covered.add(first)  # under a name of its own, so a full cover always exists
            assert others[0] not in names
    assert covered == names
    assert roles == {role.name for event in schema().events for role in event.roles}
