"""Everything in a result is a slice of its text, whatever the endpoint says; nothing gets lost in silence."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kcx_jax.corpora import Mention, Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction import Extractor
from kcx_jax.extraction.chat import code_of
from kcx_jax.prompts import extraction_branch, extraction_prefix, sentence_context
from kcx_jax.schema import load_schema
from kcx_jax.testing.llm_script import Script

from .conftest import ANSWERS, CHINESE, CLASSES, ENGLISH, NOTHING, BirthPlace, City, Meeting, Person


def _slices(result):
    """Every span of a result with the text it claims."""
    spans = [*result.entities, *result.events, *(a for event in result.events for a in event.arguments)]
    return all(result.text[s.start : s.end] == s.text for s in spans)


def test_the_tasks_of_a_schema_become_one_record(served):
    extractor, _ = served()
    result = next(extractor.extract(ENGLISH, CLASSES))
    assert [(e.label, e.text) for e in result.entities] == [
        ("Person", "Ada"), ("Person", "Bob"), ("Person", "Ada"), ("City", "London")
    ]  # fmt: skip
    assert _slices(result)
    (birth,) = result.relations
    # The nearer of two equal names was born: the relation's head is one of the entities, not a copy of it.
    assert birth.head == result.entities[2]
    assert birth.tail == result.entities[3]
    (meeting,) = result.events
    assert (meeting.label, meeting.text) == ("Meeting", "met")
    assert [(a.role, a.text, a.label) for a in meeting.arguments] == [
        ("participant", "Ada", "Person"), ("participant", "Bob", "Person"), ("time", "May", None)
    ]  # fmt: skip
    assert meeting.arguments[0].start == result.entities[0].start
    assert result.problems == ()
    assert result.answers == {task: ANSWERS[ENGLISH][task] for task in ("ner", "re", "eae")}
    assert Record.from_json(json.loads(json.dumps(result.record.to_json()))) == result.record


def test_instances_are_the_callers_own_classes_with_offsets(served):
    extractor, _ = served()
    result = next(extractor.extract([ENGLISH], CLASSES))
    ada, bob, ada_again, london, birth, meeting = result.instances
    assert [type(each) for each in result.instances] == [Person, Person, Person, City, BirthPlace, Meeting]
    assert birth == BirthPlace(ada_again, london)
    assert meeting == Meeting("met", 4, 7, participant=[ada, bob], time=["May"])
    assert ENGLISH[london.start : london.end] == "London"


def test_results_keep_the_order_of_any_iterable_and_the_ids_of_records(served):
    extractor, _ = served()
    texts = [NOTHING, Record("zh-1", "zh", CHINESE, meta={"page": 7}), ENGLISH, CHINESE] * 5
    results = list(extractor.extract(iter(texts), CLASSES, tasks=["ner"]))
    assert [r.text for r in results] == [t if isinstance(t, str) else t.text for t in texts]
    assert results[1].record.id == "zh-1"
    assert (results[1].record.language, results[1].record.meta) == ("zh", {"page": 7})
    assert [(e.text, e.start, e.end) for e in results[1].entities] == [("李白", 0, 2), ("碎叶城", 5, 8)]
    assert results[0].record.entities == ()
    assert results[0].record.relations is None, "not asked for, so not annotated"


def test_reading_runs_only_a_little_ahead(served):
    extractor, _ = served()
    taken = []

    def endless():
        while True:
            taken.append(CHINESE)
            yield CHINESE

    results = extractor.extract(endless(), CLASSES, tasks=["ner"])
    for _ in range(3):
        next(results)
    assert len(taken) < 100
    results.close()


def test_plain_labels_come_back_as_they_were_given(served):
    extractor, _ = served({ENGLISH: '[Person("Ada"), City("London")]'})
    result = next(extractor.extract(ENGLISH, ["person", "city"]))
    assert [e.label for e in result.entities] == ["person", "city"]
    assert {m.type for m in result.record.entities} == {"Person", "City"}


def test_labels_without_a_name_are_named_where_that_is_asked_for(served):
    extractor, _ = served({ENGLISH: '[Sotrudnik("Ada"), City("London")]'})
    with pytest.raises(UsageError, match=r"'сотрудник' has no ASCII form.*auto=True"):
        extractor.extract(ENGLISH, ["сотрудник", "city"])
    result = next(extractor.extract(ENGLISH, ["сотрудник", "city"], auto=True))
    assert [e.label for e in result.entities] == ["сотрудник", "city"]
    assert [m.type for m in result.record.entities] == ["Sotrudnik", "City"]
    assert not result.problems


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ('[Person("Ada"), Person("Grace")]', ["unresolved"]),
        ('[Person("Ada"), Robot("Bob")]', ["unknown_class"]),
        ('[Person("Ada"), Person("Bob', ["truncated"]),
        ('[Person("Ada")] I hope this helps!', ["trailing_text"]),
    ],
)
def test_what_cannot_be_used_is_reported_and_the_rest_is_kept(served, answer, kinds):
    extractor, _ = served({ENGLISH: answer})
    result = next(extractor.extract(ENGLISH, [Person]))
    assert [e.text for e in result.entities] == ["Ada"]
    assert [problem.kind for problem in result.problems] == kinds
    assert result.problems[0].task == "ner"
    noted = result.record.meta.get("unresolved", []) + result.record.meta.get("parse_problems", [])
    assert len(noted) == len(kinds), "score finds them in the record"


def test_looser_forms_are_found_when_asked_and_keep_their_rung(served):
    answers = {"ner": '[Person("ADA"), City("Ｌondon")]', "re": '[BirthPlace(Person("ada"), City("London"))]'}
    extractor, _ = served({ENGLISH: answers})
    schema = [Person, City, BirthPlace]
    strict = next(extractor.extract(ENGLISH, schema))
    assert (strict.entities, strict.relations, "loose" in strict.record.meta) == ((), (), False)
    loose = next(extractor.extract(ENGLISH, schema, ground="ladder"))
    assert [ENGLISH[e.start : e.end] for e in loose.entities] == [e.text for e in loose.entities]
    assert {e.text for e in loose.entities} == {"Ada", "London"}
    assert [(r.head.text, r.tail.text) for r in loose.relations] == [("Ada", "London")]
    rungs = [(each["task"], each["type"], each["rung"]) for each in loose.record.meta["loose"]]
    assert rungs == [("ner", "Person", "case"), ("ner", "City", "width"), ("re", "BirthPlace", "case")]
    again = next(extractor.extract([loose.record], schema))
    assert "loose" not in again.record.meta, "of the earlier extraction"
    with pytest.raises(UsageError, match="ground is 'soft'"):
        extractor.extract(ENGLISH, schema, ground="soft")


def test_an_answer_cut_off_by_the_endpoint_is_flagged(served):
    extractor, _ = served(faults={"truncated": 1.0})
    result = next(extractor.extract(ENGLISH, [Person]))
    assert [problem.kind for problem in result.problems] == ["length", "truncated"]
    assert result.record.meta["parse_problems"][0]["kind"] == "length"


def test_a_request_without_an_answer_costs_only_its_own_task(served):
    extractor, _ = served({ENGLISH: {"ner": '[Person("Ada")]'}})  # the server has no answer to NOTHING
    first, second, third = extractor.extract([ENGLISH, NOTHING, ENGLISH], CLASSES, tasks=["ner", "re"])
    assert [e.text for e in first.entities] == [e.text for e in third.entities] == ["Ada"]
    assert second.entities == ()
    assert [(p.task, p.kind) for p in second.problems] == [("ner", "no_answer"), ("re", "no_answer")]


def test_an_earlier_extraction_in_the_input_leaves_no_trace(served):
    extractor, _ = served({ENGLISH: '[Person("Ada"), Person("Grace")]'})
    once = next(extractor.extract(ENGLISH, [Person])).record
    twice = next(extractor.extract([once], [Person])).record
    assert twice == once


def test_a_relation_of_the_pair_that_a_record_asks_about_stands_at_its_places(served):
    extractor, _ = served({ENGLISH: '[BirthPlace(Person("Ada"), City("London"))]'})
    first = ENGLISH.index("Ada")
    ends = tuple(
        Mention(f"e{i}", name, ENGLISH.index(text), ENGLISH.index(text) + len(text), text)
        for i, (name, text) in enumerate([("City", "London"), ("Person", "Ada")])
    )
    record = Record("1", "en", ENGLISH, ends, meta={"pair": {"mentions": ["e1", "e0"]}, "page": 3})
    (result,) = extractor.extract([record], CLASSES, tasks=["re"])
    assert result.relations[0].head.start == first
    (plain,) = extractor.extract([replace(record, meta={})], CLASSES, tasks=["re"])
    assert plain.relations[0].head.start > first
    # Its mentions are others now.
    assert result.record.meta == {"page": 3}


def test_a_pair_that_is_given_stands_in_the_prompt_as_in_training(served, monkeypatch):
    extractor, _ = served({ENGLISH: '[BirthPlace(Person("Ada"), City("London"))]'})
    seen, read = [], Script.read
    monkeypatch.setattr(
        Script, "read", lambda self, model, messages: seen.append(messages) or read(self, model, messages)
    )
    ends = tuple(
        Mention(text, name, ENGLISH.rindex(text), ENGLISH.rindex(text) + len(text), text)
        for name, text in [("Person", "Ada"), ("City", "London")]
    )
    record = Record("1", "en", ENGLISH, ends, (), meta={"pair": {"mentions": ["Ada", "London"]}})
    (result,) = extractor.extract([record], CLASSES, tasks=["re", "ner"], pair=True)
    assert result.relations[0].head.start == ENGLISH.rindex("Ada")
    schema, asked = load_schema(CLASSES), [messages[1]["content"] for messages in seen]
    branch = extraction_branch(record, schema, "re", pair=True)
    assert 'pair = Person("Ada"), City("London")' in branch.context
    assert extraction_prefix(schema, "re") + branch.context in asked
    assert extraction_prefix(schema, "ner") + sentence_context(ENGLISH) in asked


def test_a_pair_that_cannot_be_given_is_refused(served):
    extractor, _ = served()
    ends = (Mention("a", "Person", 0, 3, "Ada"), Mention("b", "Place", 4, 7, "met"))
    pair = Record("1", "en", ENGLISH, ends, meta={"pair": {"mentions": ["a", "b"]}})
    for record, message in [
        (ENGLISH, "has no meta.pair"),
        (pair, "no class Place"),
        (replace(pair, entities=(ends[0], replace(ends[1], type="City"))), "too long to be read at once"),
    ]:
        with pytest.raises(KcxError, match=message):
            list(extractor.extract([record], CLASSES, tasks=["re"], window=20, pair=True))
    with pytest.raises(UsageError, match="for the task re alone"):
        extractor.extract(ENGLISH, CLASSES, tasks=["ner"], pair=True)


def test_an_endpoint_nobody_listens_at_is_one_error():
    extractor = Extractor.from_openai("any", "http://127.0.0.1:9/v1", "key")
    with pytest.raises(KcxError, match="cannot reach"):
        next(extractor.extract(ENGLISH, [Person]))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["nre"], "unknown task 'nre'"),
        ([], "give a list"),
        ("ner", "give a list"),
        (["re"], "relation classes"),
    ],
)
def test_tasks_that_cannot_be_are_refused_before_anything_is_asked(served, tasks, message):
    extractor, server = served()
    with pytest.raises(UsageError, match=message):
        extractor.extract(ENGLISH, [Person], tasks=tasks)
    assert server.bill.requests == 0


def test_half_a_surrogate_pair_is_named_with_its_text(served):
    extractor, _ = served()
    with pytest.raises(KcxError, match="text '1': half a surrogate pair at character 2"):
        list(extractor.extract([ENGLISH, "ab\ud83d"], [Person]))


@pytest.mark.parametrize(
    "reply",
    [
        '[Person("Ada")]',
        ' [Person("Ada")]\n',
        'results = [Person("Ada")]',
        '```python\nresults = [Person("Ada")]\n```',
        'Here you are:\n\n```\n[Person("Ada")]\n```',
        'The list of [all] people:\n  results=[Person("Ada")]',
        'The list\n[Note: none is sure]\n[Person("Ada")]',
        '<think>\n[Person("Bob")]?\n</think>\n[Person("Ada")]',
        'Perhaps\n[Person("Bob")]\n</think>\n\n```\n[Person("Ada")]\n```',
    ],
)
def test_the_list_is_found_in_what_chat_models_wrap_around_it(reply):
    assert code_of(reply) == '[Person("Ada")]'


@pytest.mark.parametrize("reply", ["", "I cannot do that.", 'results: Person("Ada")'])
def test_a_reply_without_a_list_is_left_to_the_parser(reply):
    assert code_of(reply) == reply


def test_the_prompt_is_the_one_that_training_uses(served, monkeypatch):
    extractor, _ = served()
    seen, read = [], Script.read
    monkeypatch.setattr(
        Script, "read", lambda self, model, messages: seen.append(messages) or read(self, model, messages)
    )
    next(extractor.extract(ENGLISH, CLASSES, tasks=["re"]))
    ((system, user),) = seen
    assert system["role"] == "system"
    prefix = extraction_prefix(load_schema(CLASSES), "re")
    assert (
        user["content"]
        == prefix + 'sentence = "Ada met \\"Bob\\" in May; 😀 Ada was born in London."\nresults ='
    )


def test_thoughts_without_an_end_are_no_answer():
    assert code_of('<think>\n[Person("Bob")]') == ""


@pytest.mark.parametrize("wrong", [None, float("nan"), b"Ada", 7])
def test_what_is_no_text_is_named_and_those_before_are_answered(served, wrong):
    extractor, _ = served({ENGLISH: '[Person("Ada")]'})
    results = extractor.extract([ENGLISH, wrong, ENGLISH], ["person"])
    assert next(results).entities
    with pytest.raises(KcxError, match=f"text '1': .* found {type(wrong).__name__}"):
        next(results)


@pytest.mark.parametrize("wrong", [None, 5, {"a": ENGLISH}, Path("a.txt")])
def test_what_holds_no_texts_is_refused(served, wrong):
    extractor, _ = served()
    with pytest.raises(UsageError, match=f"found {type(wrong).__name__}"):
        list(extractor.extract(wrong, ["person"]))


def test_one_record_is_one_text(served):
    extractor, _ = served({ENGLISH: '[Person("Ada")]'})
    (result,) = extractor.extract(Record("mine", "en", ENGLISH), ["person"])
    assert result.record.id == "mine"
    with pytest.raises(UsageError, match="schemas need names"):
        extractor.extract_each(ENGLISH, [["person"]])


@pytest.mark.parametrize("window", [1.5, "3"])
def test_a_window_of_no_whole_number_is_refused(served, window):
    extractor, _ = served()
    with pytest.raises(UsageError, match="so many characters"):
        extractor.extract(ENGLISH, ["person"], window=window)


def test_a_chat_endpoint_needs_no_jax(served):
    _, server = served({ENGLISH: '[Person("Ada")]'})
    code = (
        "import sys\n"
        "for name in ('jax', 'flax', 'sentencepiece', 'transformers', 'torch'): sys.modules[name] = None\n"
        "from kcx_jax.extraction import Extractor\n"
        f"extractor = Extractor.from_openai('any', {server.base_url!r}, 'key')\n"
        f"(result,) = extractor.extract([{ENGLISH!r}], ['person'])\n"
        "print(result.entities[0].text)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("Ada\n", 0), done.stderr
