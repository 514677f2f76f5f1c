"""RE with its pair given: what the context says, and what the answer then lists."""

import dataclasses

import pytest

from kcx_jax.corpora import Mention, Record, RelationLink, read_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.prompts import extraction_branch, extraction_tree
from kcx_jax.schema import load_schema

SCHEMA = load_schema("""
class Person(Entity): pass
class City(Entity): pass
class Made(Relation): pass
class LivesIn(Relation):
    head: Person
    tail: City
""")
RECORD = Record(
    "r",
    "en",
    "Ann of Ulm met Bob.",
    (Mention("a", "Person", 0, 3, "Ann"), Mention("u", "City", 7, 10, "Ulm"), Mention("b", "Person", 15, 18, "Bob")),
    (RelationLink("LivesIn", "a", "u"), RelationLink("Made", "a", "b")),
    None,
    {"pair": {"mentions": ["u", "a"], "label": "lives in"}},
)  # fmt: skip


def test_the_context_names_the_pair_and_the_answer_lists_what_holds_between_them():
    branch = extraction_branch(RECORD, SCHEMA, "re", pair=True)
    assert branch.context == (
        'sentence = "Ann of Ulm met Bob."\npair = City("Ulm"), Person("Ann")\nresults ='
    )
    assert branch.answer == ' [LivesIn(Person("Ann"), City("Ulm"))]'
    tree = extraction_tree(SCHEMA, [RECORD], "re", pair=True)
    assert tree.branches == (branch,)
    assert tree.prefix == extraction_tree(SCHEMA, [RECORD], "re").prefix


def test_mentions_without_a_type_stand_under_the_base():
    untyped = tuple(dataclasses.replace(each, type="Entity") for each in RECORD.entities)
    record = dataclasses.replace(RECORD, entities=untyped, meta={"pair": {"mentions": ["a", "b"]}})
    branch = extraction_branch(record, SCHEMA, "re", pair=True)
    assert '\npair = Entity("Ann"), Entity("Bob")\n' in branch.context
    assert branch.answer == ' [Made(Entity("Ann"), Entity("Bob"))]'


def test_no_relation_is_an_empty_answer():
    record = dataclasses.replace(RECORD, meta={"pair": {"mentions": ["b", "u"], "label": "no_relation"}})
    assert extraction_branch(record, SCHEMA, "re", pair=True).answer == " []"


@pytest.mark.parametrize(
    ("meta", "match"),
    [
        ({}, "'r' has no meta.pair"),
        ({"pair": 3}, "two entity ids"),
        ({"pair": {"mentions": ["a"]}}, "two entity ids"),
        ({"pair": {"mentions": ["a", "b", "u"]}}, "two entity ids"),
        ({"pair": {"mentions": ["a", ["b"]]}}, "two entity ids"),
        ({"pair": {"mentions": ["a", "x"]}}, "two entity ids"),
        ({"pair": {"mentions": {"a": 1, "b": 2}}}, "two entity ids"),
    ],
)
def test_a_record_without_a_sound_pair_is_refused(meta, match):
    with pytest.raises(UsageError, match=match):
        extraction_branch(dataclasses.replace(RECORD, meta=meta), SCHEMA, "re", pair=True)


def test_what_else_has_no_pair_is_refused():
    with pytest.raises(UsageError, match="bare text"):
        extraction_branch("Ann", SCHEMA, "re", pair=True)
    with pytest.raises(UsageError, match="not for ner"):
        extraction_branch(RECORD, SCHEMA, "ner", pair=True)
    schema = load_schema("class City(Entity): pass\nclass Made(Relation): pass\n")
    with pytest.raises(KcxError, match="'r': the pair links 'Ann', but the schema has no class Person"):
        extraction_branch(RECORD, schema, "re", pair=True)


def test_a_sentence_in_semevals_format_comes_with_its_pair(tmp_path):
    path = tmp_path / "blocks.txt"
    path.write_text(
        '1\t"The <e1>baker</e1> filled the <e2>oven</e2>."\nOther\nComment:\n\n'
        '2\t"The <e1>loaf</e1> came from the <e2>oven</e2>."\nEntity-Origin(e1,e2)\nComment:\n\n'
    )
    records = list(read_records(path, "semeval2010", "en"))
    schema = load_schema(f"class {records[1].relations[0].type}(Relation): pass\n")
    none, one = extraction_tree(schema, records, "re", pair=True).branches
    assert '\npair = Entity("baker"), Entity("oven")\n' in none.context
    assert none.answer == " []"
    assert one.answer == f' [{schema.relations[0].name}(Entity("loaf"), Entity("oven"))]'
