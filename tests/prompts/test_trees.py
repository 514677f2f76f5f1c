"""Trees of prompts: one prefix, and branches that continue it."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, ParallelRecord, Record
from kcx_jax.prompts import alignment_tree, extraction_branch, extraction_prefix, extraction_tree
from kcx_jax.schema import TASKS, load_schema, parse_answer

SCHEMA = load_schema('''
class Person(Entity):
    """A human being. Examples: Ada Lovelace, 李白"""
class BirthPlace(Relation): pass
class Attack(Event):
    attacker: Person
''')
texts = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12) | st.sampled_from(
    ['"', "\\", "\n# NER: x", '"]\nresults = [', "\x00", "\ud800", "results =", "'''"]
)


def record(text: str, id: str = "r") -> Record:
    return Record(id, "und", text, (Mention("e0", "Person", 0, len(text), text),), (), ())


@settings(deadline=None)
@given(texts, st.sampled_from(TASKS))
def test_a_prompt_is_python_that_holds_the_text_and_the_answer(text, task):
    tree = extraction_tree(SCHEMA, [record(text)], task)
    (branch,) = tree.branches
    assert tree.prefix.endswith("\n")
    assert branch.context.endswith("results =")
    assert branch.answer.startswith(" [")
    assert "\n" not in branch.answer
    module = ast.parse(tree.prefix + branch.context + branch.answer)
    classes = [each.name for each in module.body if isinstance(each, ast.ClassDef)]
    assert classes == [concept.name for concept in tree.schema.concepts]
    sentence, results = (each for each in module.body if isinstance(each, ast.Assign))
    assert ast.literal_eval(sentence.value) == text
    expected = (tree.schema.classes["Person"](text),) if task == "ner" else ()
    assert parse_answer(branch.answer, tree.schema).instances == expected
    assert len(results.value.elts) == len(expected)


@settings(deadline=None)
@given(texts, texts)
def test_alignment_shows_the_source_solved_and_asks_for_the_target(source, target):
    tree = alignment_tree(SCHEMA, [ParallelRecord("p", record(source), record(target))])
    (branch,) = tree.branches
    module = ast.parse(branch.context + branch.answer)
    lines = {each.targets[0].id: each.value for each in module.body}
    assert list(lines) == ["source_sentence", "source_results", "sentence", "results"]
    assert ast.literal_eval(lines["source_sentence"]) == source
    assert ast.literal_eval(lines["source_results"].elts[0].args[0]) == source
    assert ast.literal_eval(lines["sentence"]) == target
    assert ast.literal_eval(lines["results"].elts[0].args[0]) == target
    assert branch.record_id == "p"


def test_the_last_lines_of_alignment_are_those_of_extraction():
    pair = ParallelRecord("p", record("Ada"), record("李白"))
    aligned = alignment_tree(SCHEMA, [pair])
    extracted = extraction_tree(SCHEMA, [pair.target], "ner")
    assert aligned.prefix == extracted.prefix
    assert aligned.branches[0].context.endswith("\n" + extracted.branches[0].context)
    assert aligned.branches[0].answer == extracted.branches[0].answer


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_one_line_of_its_own(task):
    last = extraction_prefix(SCHEMA, task).splitlines()[-1]
    assert last.startswith(f"# {task.upper()}: ")
    others = [extraction_prefix(SCHEMA, other).splitlines()[-1] for other in TASKS if other != task]
    assert last not in others


@pytest.mark.parametrize("task", TASKS)
def test_branches_do_not_depend_on_each_other(task):
    records = [record("Ada", "a"), record("Bob", "b"), record("李白", "c")]
    tree = extraction_tree(SCHEMA, records, task)
    assert [branch.record_id for branch in tree.branches] == ["a", "b", "c"]
    for each, branch in zip(records, tree.branches, strict=True):
        assert extraction_tree(SCHEMA, [each], task).branches == (branch,)
        assert extraction_branch(each.text, SCHEMA, task).context == branch.context


def test_a_bare_text_has_its_answer_still_to_come():
    branch = extraction_branch("Ada", SCHEMA, "ner")
    assert (branch.context, branch.answer) == ('sentence = "Ada"\nresults =', "")
