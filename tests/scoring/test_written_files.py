"""Files as the systems' own scripts write them, by hand after their sources, and labels in the corpora's own words."""

import dataclasses
import json
import os
from threading import Thread

import pytest

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.errors import KcxError
from kcx_jax.schema import Schema, load_schema
from kcx_jax.schema.concepts import Role
from kcx_jax.schema.labels import transliterated_name, transliterated_role
from kcx_jax.schema.ontology import class_for, inventories, labels_of, role_for, roles_of, schema_for
from kcx_jax.scoring import score
from kcx_jax.scoring.raw import grounded_answer, holds_answers, parse_raw, read_answers
from kcx_jax.scoring.raw.claims import Labels
from kcx_jax.scoring.raw.lines import read_answer_lines

SCHEMA = load_schema(
    "class Person(Entity):\n    pass\nclass City(Entity):\n    pass\n"
    "class Attack(Event):\n    attacker: list[Person]\n    place: list[City]\n"
    "class BornIn(Relation):\n    head: Person\n    tail: City\n"
)
TEXTS = ("Ada left Rome", "Bob slept", "Troops attacked Kabul")
GOLD = [
    Record("0", "en", TEXTS[0], (Mention("e0", "Person", 0, 3, "Ada"), Mention("e1", "City", 9, 13, "Rome"))),
    Record("1", "en", TEXTS[1], (Mention("e0", "Person", 0, 3, "Bob"),)),
    Record("2", "en", TEXTS[2], (Mention("e0", "City", 16, 21, "Kabul"),)),
]
PROMPT = (
    '@dataclass\nclass Person(Entity):\n    """A name: ["Ada"]"""\n\n# The text\ntext = "Ada left Rome"\n\n'
)
FOUND = ([("Person", "Ada"), ("City", "Rome")], [("Person", "Bob")], [("City", "Kabul")])


def gollie(number):
    items = ", ".join(f"{label}(span={json.dumps(text)})" for label, text in FOUND[number])
    return f"result = [{items}]"


def knowcoder(number):
    return "results = [\n" + "".join(f'\t{label}("{text}"),\n' for label, text in FOUND[number]) + "]"


def strings(number):
    return "; ".join(f"{label.lower()}: {text}" for label, text in FOUND[number])


def spans(number):
    starts = [TEXTS[number].index(text) for _, text in FOUND[number]]
    return [
        {"start": start, "end": start + len(text), "text": text, "label": label.lower(), "score": 0.9}
        for start, (label, text) in zip(starts, FOUND[number], strict=True)
    ]


def instance(number):
    asked = {"id": f"x{number}", "sentence": TEXTS[number], "label": strings(number), "subset": "test"}
    return {"Task": "NER", "Dataset": "d", "Instance": asked, "Prediction": strings(number)}


def one_a_line(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def one_document(rows):
    return json.dumps(list(rows), indent=4)


NUMBERS = range(len(TEXTS))
FILES = {
    "gollie": ("gollie", one_a_line({"model_prediction": gollie(n)} for n in NUMBERS)),
    "gollie with prompts": ("gollie", one_a_line({"model_prediction": PROMPT + gollie(n)} for n in NUMBERS)),
    "knowcoder": (
        "knowcoder",
        one_document({"id": n, "prediction-full": PROMPT + knowcoder(n)} for n in NUMBERS),
    ),
    "b2ner": ("b2ner", one_a_line(map(instance, NUMBERS))),
    "instructuie": ("instructuie", one_document(map(instance, NUMBERS))),
    "gliner, a list a line": ("gliner", one_a_line(map(spans, NUMBERS))),
    "gliner, lists in a list": ("gliner", one_document(map(spans, NUMBERS))),
    "gliner, lists in one line": ("gliner", json.dumps(list(map(spans, NUMBERS)))),
    "gliner beside texts": (
        "gliner",
        one_a_line({"text": TEXTS[n], "entities": spans(n)} for n in reversed(NUMBERS)),
    ),
    "iepile, a type at a time": (
        "iepile",
        one_a_line(
            {
                "id": f"own-{n}",
                "instruction": json.dumps({"schema": [label], "input": TEXTS[n]}),
                "output": f'[INST] {{"schema": ["{label}"]}} [/INST]'
                + json.dumps({label: [text for each, text in FOUND[n] if each == label]}),
            }
            for label in ("Person", "City")
            for n in NUMBERS
        ),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_each_system_are_read_as_its_scripts_write_them(name, tmp_path):
    system, content = FILES[name]
    path = tmp_path / "answers.json"
    path.write_text(content, encoding="utf-8")
    records = sorted(read_answers(path, GOLD, system, SCHEMA, task="ner"), key=lambda record: record.id)
    assert [record.entities for record in records] == [record.entities for record in GOLD]
    assert not any(record.meta for record in records)
    assert holds_answers(path) == (not name.startswith("gliner"))


@pytest.mark.parametrize("left_out", NUMBERS)
def test_answers_by_their_place_are_as_many_as_the_records(tmp_path, left_out):
    rows = [{"output": strings(n)} for n in NUMBERS if n != left_out]
    path = tmp_path / "answers.jsonl"
    path.write_text(one_a_line(rows), encoding="utf-8")
    with pytest.raises(KcxError, match=r"answers.jsonl:1: .* a file of 2 answers to 3 gold records"):
        list(read_answers(path, GOLD, "b2ner", SCHEMA, task="ner"))
    told = [{"output": strings(n), "text": TEXTS[n]} for n in NUMBERS if n != left_out]
    path.write_text(one_a_line(told), encoding="utf-8")
    read = [record.id for record in read_answers(path, GOLD, "b2ner", SCHEMA, task="ner")]
    assert read == [str(n) for n in NUMBERS if n != left_out]


@pytest.mark.parametrize("text", ["Troops attacked Kabul", "Troops attacked NAN, Kabul"])
@pytest.mark.parametrize(
    ("answer", "asked", "trigger"),
    [
        ('json{"attacker": ["Troops"], "place": ["Kabul"]}', "Attack", "attacked"),
        ('{"trigger": "attacked", "attacker": "Troops", "place": ["Kabul"]}', "attack", None),
        ('{"attack": [{"trigger": "attacked", "arguments": {"attacker": "Troops", "place": "Kabul"}}]}', None, None),
    ],
)  # fmt: skip
def test_an_event_may_be_its_roles_alone(answer, asked, trigger, text):
    found = parse_raw(answer, "yayi", "eae", Labels(SCHEMA), SCHEMA, text, asked, trigger)
    assert list(map(repr, found.instances)) == ['Attack("attacked", attacker=["Troops"], place=["Kabul"])']
    assert not found.problems


@pytest.mark.parametrize("nothing", ["NAN", "", " ", "null"])
def test_an_event_without_a_trigger_keeps_its_arguments(nothing):
    answer = json.dumps({"attack": [{"trigger": nothing, "arguments": {"place": "Kabul"}}]})
    (found,) = parse_raw(answer, "iepile", "eae", Labels(SCHEMA), SCHEMA, TEXTS[2]).instances
    assert (found.trigger, found.arguments["place"]) == ("Kabul", ["Kabul"])
    triggers = parse_raw(answer, "iepile", "ed", Labels(SCHEMA), SCHEMA, TEXTS[2])
    assert (triggers.instances, triggers.problems) == ((), ())


def test_gold_beside_an_answer_is_no_type_that_was_asked_for(tmp_path):
    answer = json.dumps({"attack": ["attacked"]})
    gold = json.dumps({"attack": [{"trigger": "attacked", "arguments": {}}]})
    rows = [
        {"id": "2", "task": "EE", "label": gold, "output": answer},
        {"id": "2", "task": "EE", "output": answer},
    ]
    found = []
    for row in rows:
        path = tmp_path / "answers.jsonl"
        path.write_text(one_a_line([row]), encoding="utf-8")
        found += read_answers(path, GOLD, "iepile", SCHEMA)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("system", "answer"),
    [
        (
            "knowcoder",
            'results = [Person("Ada")]\n\nclass City(Entity):\n    pass\n\nresults = [City("Rome")]',
        ),
        (
            "gollie",
            'result = [Person(span="Ada")]\n\nclass City(Entity):\n    pass\n\nresult = [City(span="Rome")]',
        ),
        ("knowcoder", PROMPT + 'results = [Person("Ada")]\n\nclass City(Entity):\n    pass\n\nresults = []'),
        (
            "chat",
            '```python\n[Person("Ada")]\n```\n```python\nclass City(Entity):\n    pass\nresults = []\n```',
        ),
        ("iepile", '{"person": ["Ada"]} [INST] {"schema": ["city"]} [/INST] {"city": ["Rome"]}'),
        ("iepile", '[INST] {"schema": []} [/INST] {"person": ["Ada"]} [INST] {"city": ["Rome"]} [/INST]'),
    ],
)
def test_what_a_model_asks_itself_behind_its_answer_is_no_prompt(system, answer):
    found = parse_raw(answer, system, "ner", Labels(SCHEMA), SCHEMA, TEXTS[0]).instances
    assert next(map(repr, found)) == 'Person("Ada")'


def test_answers_can_be_piped_in(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    rows = [{"id": n, "output": strings(n)} for n in NUMBERS] * 100
    writer = Thread(target=path.write_text, args=[one_a_line(rows)])
    writer.start()
    read = list(read_answer_lines(path, {record.id: record for record in GOLD}, "b2ner"))
    writer.join()
    assert len(read) == len(rows)


def test_lines_of_tasks_that_a_script_has_besides_are_left_out(tmp_path):
    rows = [instance(0), instance(0) | {"Task": "ES", "Prediction": "Ada, Rome"}]
    path = tmp_path / "answers.jsonl"
    path.write_text(one_a_line(rows), encoding="utf-8")
    (record,) = read_answers(path, GOLD, "instructuie", SCHEMA, task="ner")
    assert record.entities == GOLD[0].entities
    with pytest.raises(KcxError, match="which task"):
        list(read_answers(path, GOLD, "instructuie", SCHEMA))


def test_a_scripts_own_key_comes_before_any_that_may_hold_gold(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(
        one_a_line([{"id": 1, "output": "result = []", "model_prediction": gollie(1)}]), encoding="utf-8"
    )
    (record,) = read_answers(path, GOLD, "gollie", SCHEMA, task="ner")
    assert record.entities == GOLD[1].entities


def test_relations_may_be_told_in_chinese():
    answer = json.dumps([{"关系": "born in", "头实体": "Ada", "尾实体": "Rome"}], ensure_ascii=False)
    found = parse_raw(f"json{answer}", "yayi", "re", Labels(SCHEMA), SCHEMA, TEXTS[0])
    assert list(map(repr, found.instances)) == ['BornIn(Entity("Ada"), Entity("Rome"))']


def without_labels(schema):
    return Schema(tuple(dataclasses.replace(each, label=None) for each in schema.concepts), schema.declared)


@pytest.mark.parametrize("inventory", inventories())
def test_every_label_of_an_inventory_finds_its_class_and_its_roles(inventory):
    for schema in (schema_for(inventory), without_labels(schema_for(inventory))):
        labels = Labels(schema, inventory)
        for kind in ("entity", "relation", "event"):
            for label in labels_of(inventory, kind):
                assert labels.class_of(label, kind) == class_for(inventory, label, kind)
        for event in labels_of(inventory, "event"):
            roles = roles_of(inventory, event) or ()
            answer = json.dumps({event: [{"trigger": "x", "arguments": dict.fromkeys(roles, "y")}]})
            (found,) = parse_raw(answer, "iepile", "eae", labels, schema, "x y").instances
            assert set(found.arguments) == {role_for(inventory, event, role) for role in roles}


def test_labels_find_classes_that_were_named_after_their_sounds():
    """Gold of a file without an inventory has class names alone."""
    text = "诗人杜甫在古城西安"
    city = dataclasses.replace(SCHEMA.by_name["City"], name=transliterated_name("古城"))
    role = Role(transliterated_role("地点"), ("str",), True)
    event = dataclasses.replace(SCHEMA.by_name["Attack"], name=transliterated_name("旅行"), roles=(role,))
    link = dataclasses.replace(SCHEMA.by_name["BornIn"], name=transliterated_name("生于"), roles=())
    schema = Schema((city, link, event))
    argument = Argument(role.name, start=7, end=9, text="西安")
    gold = Record(
        "0",
        "zh",
        text,
        (Mention("e0", city.name, 7, 9, "西安"), Mention("e1", city.name, 2, 4, "杜甫")),
        (RelationLink(link.name, "e1", "e0"),),
        (EventMention(event.name, make_span(text, 4, 5), (argument,)),),
    )
    answers = {
        "ner": {"古城": ["杜甫", "西安"]},
        "re": {"生于": [{"subject": "杜甫", "object": "西安"}]},
        "eae": {"旅行": [{"trigger": "在", "arguments": {"地点": "西安"}}]},
    }
    for task, answer in answers.items():
        parsed = parse_raw(json.dumps(answer), "iepile", task, Labels(schema), schema, text)
        total = score([gold], [grounded_answer(parsed, gold, task)], [task]).units[task].total
        assert (total.fp, total.fn) == (0, 0)
