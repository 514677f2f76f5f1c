"""Other systems' raw answers: each form by hand, damage of any kind, and the files they come in."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema
from kcx_jax.scoring import score
from kcx_jax.scoring.raw import SYSTEMS, parse_raw, read_answers
from kcx_jax.scoring.raw.claims import Labels
from kcx_jax.scoring.raw.partial_json import read_partial_json

TEXT = "Ada left Rome, Italy in May"
SCHEMA = load_schema(
    "class Person(Entity):\n    pass\nclass BirthPlace(Relation):\n    head: Person\n    tail: Person\n"
    "class Attack(Event):\n    attacker: list[Person]\n    time: list[Entity]\n"
)


def parsed(answer, system, task="ner", asked=None, trigger=None):
    found = parse_raw(answer, system, task, Labels(SCHEMA), SCHEMA, TEXT, asked, trigger)
    return [repr(instance) for instance in found.instances], [problem.kind for problem in found.problems]


def test_names_that_differ_in_marks_alone_are_taken_to_the_letter():
    schema = load_schema(
        "class Attack(Event):\n    Main__Sub: list[Entity]\n    Main___Sub: list[Entity]\n    MainSub: list[Entity]\n"
    )
    labels = Labels(schema)
    for role, name in (("Main.Sub", "Main__Sub"), ("Main__Sub", "Main__Sub"), ("MainSub", "MainSub")):
        answer = json.dumps({"attack": [{"trigger": "left", "arguments": {role: "Ada"}}]})
        (found,) = parse_raw(answer, "iepile", "eae", labels, schema, TEXT, None, None).instances
        assert list(found.arguments) == [name]
    classes = load_schema(["birth place", "BirthPlace"], auto=True)
    for concept in classes.concepts:
        assert Labels(classes).class_of(concept.label, "entity") == concept.name


ADA, BOB = 'Person("Ada")', 'Person("Bob")'
BORN = 'BirthPlace(Entity("Ada"), Entity("Rome, Italy"))'
ATTACK = 'Attack("left", attacker=["Ada"], time=["May"])'


@pytest.mark.parametrize(
    ("system", "task", "answer", "items"),
    [
        ("iepile", "ner", '{"person": ["Ada", "Bob"], "city": []}', [ADA, BOB]),
        ("oneke", "ner", '```json\n{"person": ["Ada"]}\n```', [ADA]),
        ("iepile", "re", '{"birth place": [{"subject": "Ada", "object": "Rome, Italy"}]}', [BORN]),
        (
            "iepile",
            "eae",
            '{"attack": [{"trigger": "left", "arguments": {"attacker": "Ada", "time": ["May", "NAN"]}}]}',
            [ATTACK],
        ),
        ("iepile", "ed", '{"attack": ["left"]}', ['Attack("left")']),
        ("iepile", "eae", '{"attack": [{"attacker": "Ada"}]}', ['Attack("Ada", attacker=["Ada"])']),
        ("yayi", "ner", 'json{"person": ["Ada"]}', [ADA]),
        (
            "reasoningner",
            "ner",
            '<think>{"person": ["Eve"]}?</think>\n{"entities": {"person": ["Ada"]}}',
            [ADA],
        ),
        ("b2ner", "ner", "person: Ada; person: Bob", [ADA, BOB]),
        ("b2ner", "ner", "None", []),
        ("instructuie", "re", "birth place: Ada, Rome, Italy", [BORN]),
        ("instructuie", "ed", "attack: left", ['Attack("left")']),
        ("kcx", "ner", '[Person("Ada")]', [ADA]),
        ("knowcoder", "ner", 'results = [\n\tPerson("Ada")\n]', [ADA]),
        ("gollie", "ner", 'result = [\n    Person(span="Ada"),\n]', [ADA]),
        ("chat", "ner", 'Sure [1]! Here it is:\n{"person": ["Ada"]}\nHope it helps.', [ADA]),
        ("chat", "ner", '[{"type": "Person", "text": "Ada"}, {"text": "Bob", "type": "PERSON"}]', [ADA, BOB]),
        ("chat", "ner", "{'person': ['Ada',],}", [ADA]),
        ("chat", "ner", '```python\nresult = [Person(span="Ada")]\n```', [ADA]),
        ("chat", "ner", 'The answer is:\n[Person("Ada")]', [ADA]),
        ("chat", "ner", "person: Ada", [ADA]),
        # the same in other words
        ("iepile", "eae", '{"attack": [{"trigger": "left", "attacker": ["Ada"], "time": "May"}]}', [ATTACK]),
        (
            "chat",
            "eae",
            '{"event_type": "attack", "trigger": "left", "arguments": {"attacker": "Ada", "time": "May"}}',
            [ATTACK],
        ),
        (
            "chat",
            "eae",
            '[{"type": "attack", "trigger": "left", "arguments": [{"role": "attacker", "text": "Ada"}, '
            '{"role": "time", "text": "May"}]}]',
            [ATTACK],
        ),
        ("gollie", "eae", 'result = [Attack(mention="left", subtype="x", attacker=["Ada"], time=["May"])]', [ATTACK]),
        ("knowcoder", "eae", 'results = [Attack("left", arg_names=["a"])]', ['Attack("left")']),
        ("gollie", "re", 'result = [BirthPlace(arg2="Rome, Italy", arg1="Ada")]', [BORN]),
        ("b2ner", "ner", "person：Star：Wars； person: Bob", ['Person("Star：Wars")', BOB]),
        # said twice, or in several values
        ("chat", "ner", '{"person": ["Ada"]}\n{"person": ["Bob"], "city": []}', [ADA, BOB]),
        ("chat", "ner", '{"person": "Ada", "person": "Bob"}', [ADA, BOB]),
        ("chat", "ner", '{"entities": {"person": ["Ada"]}}\n{"entities": {"person": ["Bob"]}}', [ADA, BOB]),
        ("chat", "ner", '```json\n{"person": ["Ada"]}\n```\n```json\n{"person": ["Bob"]}\n```', [ADA, BOB]),
        ("chat", "ed", '{"attack": {"trigger": "left"}, "attack": {"trigger": "in"}}',
         ['Attack("left")', 'Attack("in")']),
        ("kcx", "ner", '[Person("Ada")]\n[]\n[Person("Bob")]', [ADA, BOB]),
        ("kcx", "ner", '```python\n[Person("Ada")]\n```\n```python\n[Person("Bob")]\n```\nDone [1].', [ADA, BOB]),
        ("kcx", "ner", '```python\n[Person("Ada")]', [ADA]),
        ("knowcoder", "ner", 'results = [Person("Ada")]\nresults = [Person("Bob")]', [ADA, BOB]),
        ("gollie", "ner", 'result = [Person(span="Ada")]\n\nresult = [Person(span="Bob")] # so', [ADA, BOB]),
    ],
)  # fmt: skip
def test_each_form(system, task, answer, items):
    assert parsed(answer, system, task) == (items, [])


def test_questions_about_one_type():
    assert parsed('["Ada", "Bob"]', "universalner", asked="person") == ([ADA, BOB], [])
    assert parsed('["Ada"]', "universalner") == ([], ["wrong_argument"])
    arguments = parsed("attacker: Ada; time: May", "instructuie", "eae", asked="attack", trigger="left")
    assert arguments == ([ATTACK], [])


@pytest.mark.parametrize(
    ("system", "task", "answer", "items", "problems"),
    [
        ("iepile", "ner", '{"person": ["Ada", "Bo', [ADA], ["truncated"]),
        ("iepile", "re", '{"birth place": [{"head": "Ada", "tail": "Rome, Italy"}, {"head": "A', [BORN], ["truncated"]),
        ("iepile", "ner", '{"ship": ["Ada"]}', [], ["unknown_class"]),
        ("iepile", "ner", '{"person": [{"x": 1}, "Ada"]}', [ADA], ["wrong_argument"]),
        ("iepile", "ner", '{"person": [Ada, "Bob"]}', [BOB], ["syntax"]),
        ("iepile", "ner", "I do not know.", [], ["syntax"]),
        ("iepile", "eae", '{"attack": [{"foe": "Ada"}]}', ['Attack("Ada")'], ["wrong_argument"]),
        ("reasoningner", "ner", "<think>Ada is", [], ["truncated"]),
        ("b2ner", "ner", "person: Ada; Bob", [ADA], ["syntax"]),
        ("b2ner", "ner", "", [], ["syntax"]),
        ("instructuie", "re", "birth place: Ada", [], ["wrong_argument"]),
        ("gollie", "ner", 'result = [Person(span="Ada"), Person(span="Bo', [ADA], ["truncated"]),
        ("kcx", "ner", '[Person("Ada")] and also Person("Bob")', [ADA], ["trailing_text"]),
        ("kcx", "ner", '[Person("Ada")]\n[Person("Bob"', [ADA], ["truncated"]),
        ("chat", "ner", '{"person": ["Ada"]} or rather {"person": ["Bob"]}', [ADA], ["trailing_text"]),
        ("chat", "ner", '{"person": ["Ada"]}\n{"person": ["Bo', [ADA], ["truncated"]),
    ],
)  # fmt: skip
def test_damage_keeps_what_is_complete_and_names_the_rest(system, task, answer, items, problems):
    assert parsed(answer, system, task) == (items, problems)


@pytest.mark.parametrize("word", ["Nan", "None", "null"])
def test_a_word_for_nothing_is_a_name_where_it_stands_in_the_text(word):
    labels, answer = Labels(SCHEMA), json.dumps({"person": [word]})
    for text, found in ((f"{word} left", 1), ("Ada left", 0)):
        assert len(parse_raw(answer, "iepile", "ner", labels, SCHEMA, text).instances) == found
    event = json.dumps({"attack": [{"trigger": "left", "arguments": {"attacker": "NAN", "time": word}}]})
    (attack,) = parse_raw(event, "iepile", "eae", labels, SCHEMA, f"NAN: {word} left").instances
    assert list(attack.arguments) == ["time"]  # NAN itself always stands for nothing


def test_vowel_signs_and_tone_marks_tell_labels_apart():
    # By hand: tiger, mat and shirt in Thai; art and period in Hindi.
    for one, other in (("เสือ", "เสื่อ"), ("เสื่อ", "เสื้อ"), ("कला", "काल")):
        labels = Labels(load_schema([one], auto=True))
        assert labels.class_of(one, "entity") == labels.class_of(f" {one} ", "entity") is not None
        assert labels.class_of(other, "entity") is None
    alike = Labels(load_schema(["birth place", "BirthPlace"], auto=True))
    assert alike.class_of("birth_place", "entity") is None  # of two, neither
    signs = Labels(load_schema(["★", "☆"], auto=True))
    assert signs.class_of("★", "entity") != signs.class_of("☆", "entity")


PUNCTUATION = "{}[]\":,;()\\'`= \n"
values = st.recursive(
    st.text(max_size=5) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4), st.booleans())
def test_sound_json_is_read_as_it_is(value, ascii_only):
    found = read_partial_json(json.dumps(value, ensure_ascii=ascii_only))
    assert (found.value, found.problems) == (value, ())


@given(
    st.dictionaries(st.text("ab", min_size=1, max_size=3), st.lists(st.text('c"\\', max_size=3)), min_size=1),
    st.data(),
)
def test_a_cut_keeps_a_beginning_of_every_list(value, data):
    whole = json.dumps(value)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    found = read_partial_json(cut)
    assert [problem.kind for problem in found.problems] == ["truncated"]
    for key, items in found.value.items():
        assert value[key][: len(items)] == items


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*PUNCTUATION, "None", "person", "Ada", "results", "span", "<think>"])).map(
        "".join
    ),
    st.sampled_from(sorted(SYSTEMS)),
    st.sampled_from(["ner", "re", "ed", "eae"]),
)
def test_any_text_is_read(answer, system, task):
    parse_raw(answer, system, task, Labels(SCHEMA), SCHEMA, TEXT, "attack")


@pytest.mark.timeout(180)  # not linear would be hours
@pytest.mark.parametrize(
    "piece", ["[", "{", '{"a":', '"', "'", "[1", "a:b;", "<think>", "```json {", "\\", ", "]
)
def test_a_megabyte_of_anything_is_read_in_time(piece):
    for system in ("chat", "iepile", "b2ner"):
        for task in ("ner", "re"):
            parse_raw(piece * (1_000_000 // len(piece)), system, task, Labels(SCHEMA), SCHEMA, TEXT)


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def gold(tmp_path):
    ada = Mention("e0", "Person", 0, 3, "Ada")
    write_records([Record(str(i), "en", TEXT, (ada,)) for i in range(3)], tmp_path / "gold.jsonl")
    return tmp_path / "gold.jsonl"


def test_answers_in_order_or_by_id_under_any_known_key(gold, tmp_path):
    by_order = lines(
        tmp_path / "a", {"output": "person: Ada"}, {"response": {"person": ["Ada"]}}, {"answer": "None"}
    )
    found = list(read_answers(by_order, gold))
    assert [[m.start for m in record.entities] for record in found] == [[0], [0], []]
    two = [{"id": 2, "prediction": f'["{name}"]', "type": "person"} for name in ("Ada", "Eve")]
    by_id = lines(tmp_path / "b", *two)
    (record,) = read_answers(by_id, gold, "universalner")
    assert (record.id, len(record.entities), record.meta["unresolved"][0]["text"]) == ("2", 1, "Eve")


def test_every_system_has_the_same_score_for_the_same_answer(gold, tmp_path):
    from kcx_jax.corpora import read_records

    answers = {
        "iepile": '{"person": ["Ada", "Eve"]}',
        "b2ner": "person: Ada; person: Eve",
        "gollie": 'result = [Person(span="Ada"), Person(span="Eve")]',
        "knowcoder": 'results = [Person("Ada"), Person("Eve")]',
    }
    for system, answer in answers.items():
        path = lines(tmp_path / system, *[{"output": answer}] * 3)
        for name in (system, "auto"):
            total = score(read_records(gold, "jsonl"), read_answers(path, gold, name)).units["ner"].total
            assert (total.tp, total.fp, total.fn) == (3, 3, 0), (system, name)


def test_labels_go_through_the_inventory(tmp_path):
    place = Mention("e0", "Location", 9, 13, "Rome")
    write_records([Record("1", "en", TEXT, (place,))], tmp_path / "gold.jsonl")
    answers = lines(tmp_path / "a", {"output": "LOC: Rome"})
    for inventory, found in ((None, []), ("uner", ["Rome"])):
        (record,) = read_answers(answers, tmp_path / "gold.jsonl", inventory=inventory)
        assert [mention.text for mention in record.entities] == found


def test_triggers_of_event_answers_are_scored_too(tmp_path):
    from kcx_jax.corpora import read_records

    event = EventMention("Attack", make_span(TEXT, 4, 8), (Argument("attacker", None, 0, 3, "Ada"),))
    write_records([Record("1", "en", TEXT, events=(event,))], tmp_path / "gold.jsonl")
    answer = {
        "attack": [{"trigger": "left", "arguments": {"attacker": "Ada"}}, {"trigger": "hit", "arguments": {}}]
    }
    path = lines(tmp_path / "a", {"output": answer})
    scores = score(
        read_records(tmp_path / "gold.jsonl", "jsonl"), read_answers(path, tmp_path / "gold.jsonl")
    )
    ed, eae = scores.units["ed"].total, scores.units["eae"].total
    assert (ed.tp, ed.fp, ed.fn) == (1, 1, 0)
    assert (eae.tp, eae.fn) == (1, 0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "9", "output": ""}, r"a:1: id: no gold record has the id '9'"),
        ({"id": "1"}, r"a:1: output: is missing; an answer stands under one of: output"),
        ({"id": "1", "output": 3}, r"a:1: output: must be a string, an object or a list"),
        ({"id": [], "output": ""}, r"a:1: id: must be a string or a number"),
        ({"id": "1", "output": "", "task": "pos"}, r"a:1: task: unknown task 'pos'; known: ner"),
        ([3], r"a:1: must be an object"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(gold, tmp_path, row, message):
    with pytest.raises(KcxError, match=message):
        list(read_answers(lines(tmp_path / "a", row), gold))


def test_what_cannot_be_told_is_asked_for(gold, tmp_path):
    path = lines(tmp_path / "a", {"output": ""})
    with pytest.raises(UsageError, match="unknown format of predictions 'x'; known: records, iepile"):
        list(read_answers(path, gold, "x"))
    with pytest.raises(UsageError, match="unknown task 'pos'"):
        list(read_answers(path, gold, task="pos"))
    with pytest.raises(KcxError, match="a:4: a line without an id, and gold has only 3 records"):
        list(read_answers(lines(tmp_path / "a", *[{"output": ""}] * 4), gold))
    links = (RelationLink("BirthPlace", "e0", "e0"),)
    record = Record("1", "en", TEXT, (Mention("e0", "Person", 0, 3, "Ada"),), links)
    write_records([record], tmp_path / "both.jsonl")
    one = lines(tmp_path / "one", {"output": ""})
    with pytest.raises(KcxError, match="Give --task or a key task: ner, re"):
        list(read_answers(one, tmp_path / "both.jsonl"))


def test_answers_about_a_pair_stand_at_its_places(tmp_path):
    text = "Ada left Rome for Rome"
    ends = (Mention("e0", "Person", 0, 3, "Ada"), Mention("e1", "Person", 18, 22, "Rome"))
    link = RelationLink("BirthPlace", "e0", "e1")
    gold = Record("1", "en", text, ends, (link,), meta={"pair": {"mentions": ["e0", "e1"]}})
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"id": "1", "output": "birth place: Ada, Rome"}\n')
    for meta, f1 in ((gold.meta, 1.0), ({}, 0.0)):
        write_records([replace(gold, meta=meta)], tmp_path / "gold.jsonl", overwrite=True)
        found = list(read_answers(answers, tmp_path / "gold.jsonl", "b2ner", SCHEMA, task="re"))
        assert score([gold], found).f1("re") == f1


# Written from the form of GLiNER's `predict_entities`, not taken from a run of it.
GLINER = [
    {"start": 9, "end": 13, "text": "Rome", "label": "person", "score": 0.9},
    {"start": 18, "end": 22, "text": "Rome", "label": "person", "score": 0.8},
    {"start": 0, "end": 4, "text": "Ada", "label": "person", "score": 0.7},
    {"start": 0, "end": 3, "text": "Ada", "label": "ship", "score": 0.6},
]


def test_spans_of_gliner_stand_where_they_say(tmp_path):
    text = "Ada left Rome for Rome"
    gold = [Record("1", "en", text, (Mention("e0", "Person", 18, 22, "Rome"),))]
    (record,) = read_answers(lines(tmp_path / "a", {"id": 1, "predictions": GLINER}), gold, "gliner", SCHEMA)
    assert [(mention.start, mention.end) for mention in record.entities] == [(9, 13), (18, 22)]
    counts = score(gold, [record]).units["ner"].total
    # By hand: the second is gold; the first, the shifted Ada and the class that is none are three mistakes.
    assert (counts.tp, counts.fp, counts.fn) == (1, 3, 0)


def test_a_systems_own_ids_give_way_to_the_text_it_was_asked_about(tmp_path):
    texts = ("Ada left", "Bob left", "Bob left")
    gold = [Record(str(i), "en", text, ()) for i, text in enumerate(texts)]
    asked = json.dumps({"instruction": "?", "schema": ["person"], "input": texts[1]})
    own = [{"id": "5526d8aa", "sentence": texts[0], "output": {"person": ["Ada"]}}]
    (record,) = read_answers(lines(tmp_path / "a", *own), gold, "iepile", SCHEMA)
    assert record.id == "0"
    with pytest.raises(KcxError, match="several gold records have the text 'Bob left'"):
        list(read_answers(lines(tmp_path / "b", {"id": "x", "instruction": asked, "output": {}}), gold))
    by_place = [{"output": "None"}, {"output": "None"}, {"instruction": asked, "output": "person: Bob"}]
    assert [len(r.entities) for r in read_answers(lines(tmp_path / "c", *by_place), gold, schema=SCHEMA)] == [
        0,
        0,
        1,
    ]


@pytest.mark.parametrize(
    "answer",
    [
        [{"start": 18, "end": 22, "text": "Rome", "type": "person"}],
        [{"start": 18, "end": 22, "word": "Rome", "entity_type": "person"}],
        [{"start": 18, "end": 22, "label": "person"}],
        {"entities": [{"start": 18, "end": 22, "text": "Rome", "label": "person"}]},
        {"person": [{"start": 18, "end": 22, "text": "Rome"}]},
    ],
)
def test_spans_of_gliner_may_be_told_in_other_words(answer, tmp_path):
    gold = [Record("1", "en", "Ada left Rome for Rome", (Mention("e0", "Person", 18, 22, "Rome"),))]
    (record,) = read_answers(lines(tmp_path / "a", {"id": 1, "output": answer}), gold, "gliner", SCHEMA)
    assert record.entities == gold[0].entities
    assert not record.meta


def test_spans_of_gliner_without_offsets_are_told(tmp_path):
    gold = [Record("1", "en", "Ada left Rome", (Mention("e0", "Person", 0, 3, "Ada"),))]
    names = lines(tmp_path / "a", {"id": 1, "output": {"entities": {"person": ["Ada"]}}})
    (record,) = read_answers(names, gold, "gliner", SCHEMA)
    assert [(each.start, each.end) for each in record.entities] == [(0, 3)]
    mixed = [{"start": 0, "end": 3, "label": "person"}, {"text": "Rome", "label": "person"}]
    mixed += [{"start": 0, "end": 99, "label": "person"}]
    (record,) = read_answers(lines(tmp_path / "b", {"id": 1, "output": mixed}), gold, "gliner", SCHEMA)
    counts = score(gold, [record]).units["ner"].total
    assert (counts.tp, counts.fp, counts.fn) == (1, 2, 0)


def test_answers_to_other_texts_are_refused(tmp_path):
    texts = ["Ada left", "Bob left Rome", "Eve left"]
    gold = [Record(str(i), "en", text, ()) for i, text in enumerate(texts, 1)]

    def ids(*rows):
        return [
            each.id for each in read_answers(lines(tmp_path / "a", *rows), gold, "b2ner", SCHEMA, task="ner")
        ]

    # The system counts from 0 where gold counts from 1, and says what it was asked about.
    assert ids(*({"id": i, "input": text, "output": "None"} for i, text in enumerate(texts))) == [
        "1",
        "2",
        "3",
    ]
    prompt = "Find all persons.\nBob  left Rome\nAnswer:"
    assert ids(
        {"id": 2, "input": prompt, "output": "None"}, {"id": 2, "text": "left Rome", "output": ""}
    ) == ["2"]
    for row in (
        {"id": 2, "text": "Something else", "output": "None"},
        {"text": "Something else", "output": "None"},
    ):
        with pytest.raises(
            KcxError, match=r"a:1: asked about 'Something else', which is not the text of gold"
        ):
            ids(row)


def test_lines_of_another_task_are_left_out(tmp_path):
    gold = [Record("1", "en", TEXT, (Mention("e0", "Person", 0, 3, "Ada"),), ())]
    born = '{"birth place": [{"subject": "Ada", "object": "Rome, Italy"}]}'
    relations = {"id": 1, "task": "RE", "output": born}
    both = lines(tmp_path / "a", {"id": 1, "task": "NER", "output": '{"person": ["Ada"]}'}, relations)
    for task, found in (("ner", (1, 0)), ("re", (2, 1))):
        (record,) = read_answers(both, gold, "iepile", SCHEMA, task=task)
        assert (len(record.entities), len(record.relations or ())) == found
    with pytest.raises(KcxError, match="no line answers the task 'ner', but re"):
        list(read_answers(lines(tmp_path / "b", relations), gold, "iepile", SCHEMA, task="ner"))
    events = {
        "id": 1,
        "task": "EE",
        "output": '{"attack": [{"trigger": "left", "arguments": {"attacker": "Ada"}}]}',
    }
    (record,) = read_answers(lines(tmp_path / "c", events), gold, "iepile", SCHEMA, task="ed")
    assert [event.trigger.text for event in record.events] == ["left"]


def test_arguments_say_nothing_of_a_trigger_whatever_the_form(tmp_path):
    event = EventMention("Attack", make_span(TEXT, 4, 8))
    gold = [Record("1", "en", TEXT, events=(event,))]
    answers = {
        "iepile": '{"attack": [{"trigger": "left", "arguments": {"attacker": "Ada"}}]}',
        "kcx": '[Attack("left", attacker=[Person("Ada")])]',
        "gollie": 'result = [Attack(mention="left", attacker=["Ada"])]',
        "knowcoder": 'results = [Attack("left", attacker=["Ada"], place=["Rome"])]',
    }
    for system, answer in answers.items():
        path = lines(tmp_path / system, {"id": 1, "output": answer})
        total = score(gold, read_answers(path, gold, system, SCHEMA, task="ed"), ["ed"]).units["ed"].total
        assert (total.tp, total.fp, total.fn) == (1, 0, 0), system


def test_a_line_that_stands_twice_is_refused(tmp_path):
    gold = [Record("1", "en", TEXT, (Mention("e0", "Person", 0, 3, "Ada"),))]
    for answer, refused in (("person: Ada", True), ("None", False)):
        twice = lines(tmp_path / "a", *[{"id": 1, "output": answer}] * 2)
        if refused:
            with pytest.raises(KcxError, match="a:2: the answer to '1' stands twice"):
                list(read_answers(twice, gold, "b2ner", SCHEMA))
        else:
            assert len(list(read_answers(twice, gold, "b2ner", SCHEMA))) == 1


def test_answers_of_one_text_in_schema_groups_are_one(tmp_path):
    """IEPile asks six types at a time: lines of its own id that share a text, here in the published form."""
    gold = [Record("g", "en", TEXT, ())]
    rows = [
        {
            "id": "55",
            "instruction": json.dumps({"schema": [name], "input": TEXT}),
            "output": json.dumps({name: found}),
        }
        for name, found in (("person", ["Ada"]), ("city", []), ("Person", ["Rome"]))
    ]
    (record,) = read_answers(lines(tmp_path / "a", *rows), gold, "iepile", SCHEMA, task="ner")
    assert [mention.text for mention in record.entities] == ["Ada", "Rome"]
