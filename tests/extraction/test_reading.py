"""What is read in windows and parts is what is read at once."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction import Answer, Extractor, Reader, Room, Window
from kcx_jax.schema import Entity, Event, Relation, load_schema

from .oracle import Fact, Oracle, occurrences


class Person(Entity):
    """A human being."""


class City(Entity):
    """A city."""


class Firm(Entity):
    """A company."""


class BirthPlace(Relation):
    """Where a person was born."""

    head: Person
    tail: City


class Works(Relation):
    """Whom a person works for."""

    head: Person
    tail: Firm


class Meeting(Event):
    """People come together."""

    participant: list[Person]
    place: City
    time: list[str]


SCHEMA = load_schema([Person, City, Firm, BirthPlace, Works, Meeting])
# Names beside names they stand in, with marks that combine, beyond the basic plane, in one script after the other.
NAMES = {
    "Ada": "Person", "Ada Lovelace": "Person", "Lovelace & Co.": "Firm", "New York": "City", "York": "City",
    "José": "Person", "Jose\u0301 da Silva": "Person", "李白": "Person", "碎叶城": "City", "碎叶": "City",
    "𠮷野家": "Firm", "𠮷野": "Person", "محمد": "Person", "محمد علي": "Person", "القاهرة": "City",
    "สมชาย": "Person", "กรุงเทพ": "City", "กรุงเทพมหานคร": "City", "😀 Inc": "Firm", "काशी": "City", "김구": "Person",
}  # fmt: skip
FACTS = [
    Fact("Ada Lovelace was born in New York", "BirthPlace",
         (("head", "Person", "Ada Lovelace"), ("tail", "City", "New York")), "re"),
    Fact("李白出生于碎叶城", "BirthPlace", (("head", "Person", "李白"), ("tail", "City", "碎叶城")), "re"),
    Fact("وُلد محمد علي في القاهرة", "BirthPlace", (("head", "Person", "محمد علي"), ("tail", "City", "القاهرة")), "re"),
    Fact("สมชายทำงานที่😀 Inc", "Works", (("head", "Person", "สมชาย"), ("tail", "Firm", "😀 Inc")), "re"),
    Fact("Jose\u0301 da Silva met Ada in York on 3 May", "Meeting",
         (("", None, "met"), ("participant", "Person", "Jose\u0301 da Silva"), ("participant", "Person", "Ada"),
          ("place", "City", "York"), ("time", None, "3 May")), "eae"),
    Fact("五月三日李白在碎叶会见𠮷野", "Meeting",
         (("", None, "会见"), ("time", None, "五月三日"), ("participant", "Person", "李白"), ("place", "City", "碎叶"),
          ("participant", "Person", "𠮷野")), "eae"),
]  # fmt: skip
FILLERS = [
    "It rained.",
    "下雨了。",
    "كان يومًا طويلًا؟",
    "ฝนตก",
    "e\u0301a\u0308",
    "👩\u200d👩\u200d👧",
    "🇩🇪🇫🇷",
    "किताब",
    "한국어",
    "—",
]
GAPS = ["", " ", " ", " ", "\r\n", "\r\n\r\n", "\n", "\t", "\u200b"]
LONGEST = max(len(each) for each in [*NAMES, *(fact.sentence for fact in FACTS)])
# What a fact names stands nowhere else, and two facts far apart: what is nearest to each other then belongs together.
LOOSE = [name for name in NAMES if name not in {words for fact in FACTS for _, _, words in fact.parts}]
CALM = "The rain did not stop for a day. "

_parts = st.lists(
    st.tuples(
        st.sampled_from([*LOOSE, *(f" {CALM}{fact.sentence}. {CALM}" for fact in FACTS), *FILLERS]),
        st.sampled_from(GAPS),
    ),
    max_size=30,
)
_texts = _parts.map(lambda parts: "".join(part + gap for part, gap in parts))


def _read(text, window, schema=SCHEMA, tasks=None, source=None):
    extractor = Extractor(source or Oracle(NAMES, FACTS))
    size, overlap = (window.size, window.overlap) if window else (None, None)
    (result,) = extractor.extract([text], schema, tasks, window=size, overlap=overlap)
    return result


def _found(result):
    return result.entities, result.relations, result.events


@settings(deadline=None, max_examples=200)
@given(_texts, st.integers(LONGEST, 2 * LONGEST), st.integers(0, 60))
def test_what_windows_find_is_what_is_found_at_once(text, overlap, more):
    window = Window(2 * overlap + more, overlap)
    result = _read(text, window)
    whole = _read(text, None)
    assert _found(result) == _found(whole)
    assert result.record == whole.record
    assert not result.problems


@settings(deadline=None, max_examples=100)
@given(_texts, st.integers(0, 20))
def test_every_mention_is_found_once_and_stands_where_it_says(text, more):
    """Against the text itself, without any grounding of the whole."""
    overlap = max(map(len, NAMES))
    result = _read(text, Window(2 * overlap + more, overlap), tasks=["ner"])
    truth = sorted((*span, label) for words, label in NAMES.items() for span in occurrences(text, words))
    assert [(each.start, each.end, each.label) for each in result.entities] == truth
    assert all(text[each.start : each.end] == each.text for each in result.entities)


# What one model says of each window: it sees more the more of the text it sees.
class _Scripted(Oracle):
    """Answers by the text of the window; "" where there is none."""

    def __init__(self, answers, finish=None):
        super().__init__()
        self.answers, self.finish = answers, finish or {}

    def stream(self, asks):
        for ask in asks:
            self.asked.append(ask.text)
            yield Answer(f" {self.answers.get(ask.text, '[]')}", self.finish.get(ask.text, "stop"))


LEFT, RIGHT = "aaaa bbbb New Yo", "b New York cccc."
BORDER = "aaaa bbbb New York cccc."
CUT = Window(16, 8)


@pytest.fixture
def cut_inside_york(monkeypatch):
    """Windows that overlap in "b New Yo", the first of which takes York apart."""
    monkeypatch.setattr("kcx_jax.extraction.reading.cut", lambda *_: [(0, 16), (8, 24)])


@pytest.mark.usefixtures("cut_inside_york")
def test_what_a_cut_left_of_a_mention_gives_way_to_the_mention():
    answers = {LEFT: '[City("New Yo")]', RIGHT: '[City("New York")]'}
    assert [(e.text, e.start) for e in _read(BORDER, CUT, source=_Scripted(answers)).entities] == [
        ("New York", 10)
    ]


@pytest.mark.usefixtures("cut_inside_york")
def test_where_windows_differ_the_one_that_sees_more_around_it_is_right():
    answers = {LEFT: '[Person("bbbb"), Person("New")]', RIGHT: '[City("New")]'}
    result = _read(BORDER, CUT, source=_Scripted(answers), tasks=["ner"])
    # "New" is 3 characters from the first one's end and 2 from the other's beginning.
    assert [(e.label, e.text) for e in result.entities] == [("Person", "bbbb"), ("Person", "New")]
    del answers[LEFT]
    assert not _read(BORDER, CUT, source=_Scripted(answers), tasks=["ner"]).entities


@pytest.mark.usefixtures("cut_inside_york")
def test_an_answer_that_broke_off_does_not_say_that_something_is_not_there():
    answers = {LEFT: '[Person("bbbb"), ', RIGHT: '[City("New")]'}
    silent = _read(BORDER, CUT, source=_Scripted(answers), tasks=["ner"])
    result = _read(BORDER, CUT, source=_Scripted(answers, {LEFT: "length"}), tasks=["ner"])
    assert silent.entities == result.entities
    assert [(e.label, e.text) for e in result.entities] == [("Person", "bbbb"), ("City", "New")]
    assert {(problem.kind, problem.window) for problem in result.problems} == {
        ("length", (0, 16)), ("truncated", (0, 16))
    }  # fmt: skip
    assert all(entry["window"] == [0, 16] for entry in result.record.meta["parse_problems"])


@pytest.mark.usefixtures("cut_inside_york")
def test_an_event_is_decided_where_all_its_arguments_are_in_view():
    answers = {LEFT: '[Meeting("Yo", time=["aaaa"])]', RIGHT: '[Meeting("Yo")]'}
    (event,) = _read(BORDER, CUT, source=_Scripted(answers), tasks=["eae"]).events
    assert [(each.role, each.text) for each in event.arguments] == [("time", "aaaa")]
    answers[RIGHT] = (
        '[Meeting("Yo", time=["cccc"])]'  # no window sees both: the one that sees more around the trigger
    )
    (event,) = _read(BORDER, CUT, source=_Scripted(answers), tasks=["eae"]).events
    assert [each.text for each in event.arguments] == ["cccc"]


@pytest.mark.usefixtures("cut_inside_york")
def test_scores_repairs_and_refusals_say_where_they_belong(monkeypatch):
    answers = {LEFT: '[Person("BBBB"), Person("nobody")]', RIGHT: '[City("new york")]'}
    extractor = Extractor(_Scripted(answers))
    (result,) = extractor.extract([BORDER], SCHEMA, ["ner"], "ladder", window=16, overlap=8)
    assert [(r.label, r.text, r.start, r.rung) for r in result.repairs] == [
        ("Person", "bbbb", 5, "case"), ("City", "New York", 10, "case")
    ]  # fmt: skip
    assert [(p.kind, p.window) for p in result.problems] == [("unresolved", (0, 16))]
    assert result.answers == {"ner": ' [Person("BBBB"), Person("nobody")]\n [City("new york")]'}


def test_relations_keep_their_mentions_and_nothing_else_does():
    """A relation in one window, a mention of which another window, that decides about mentions, did not list."""
    fact = FACTS[0]
    text = f"{'It rained. ' * 8}{fact.sentence}. {'It rained. ' * 8}"
    result = _read(text, Window(100, 45), source=Oracle({}, FACTS))
    assert [e.text for e in result.entities] == ["Ada Lovelace", "New York"]
    assert [(r.head.text, r.tail.text) for r in result.relations] == [("Ada Lovelace", "New York")]


def test_the_pair_of_a_record_stands_in_the_window_that_holds_it():
    sentence = "Ada Lovelace was born in New York. "
    text = "It rained. " * 10 + sentence + "It rained. " * 10 + sentence
    start = text.rindex("Ada")
    spans = [("e0", "Person", "Ada Lovelace", start), ("e1", "City", "New York", text.rindex("New"))]
    mentions = tuple(Mention(i, t, s, s + len(w), w) for i, t, w, s in spans)
    record = Record("1", "en", text, mentions, meta={"pair": {"mentions": ["e0", "e1"]}})
    (result,) = Extractor(Oracle(NAMES, FACTS)).extract([record], SCHEMA, ["re"], window=100, overlap=40)
    assert [each.head.start for each in result.relations] == [text.index("Ada"), start]
    broken = replace(record, meta={"pair": {"mentions": ["e0", "e7"]}})
    with pytest.raises(UsageError, match=r"meta\.pair"):
        list(Extractor(Oracle(NAMES, FACTS)).extract([broken], SCHEMA, ["re"]))


# Room


def _room(tokens, answer=20):
    return Room(tokens, answer, len)  # a token is a character


@settings(deadline=None, max_examples=50)
@given(_texts)
def test_parts_of_a_schema_find_what_the_schema_finds(text):
    small = Oracle(NAMES, FACTS, room=_room(2000, 2000 - 250 - 340))
    result = _read(text, Window(120, LONGEST + 5), source=small)
    assert max(len(ask.question.prefix) for ask in small.asked) <= small.room.schema
    assert len({ask.question.prefix for ask in small.asked}) > 3, "the schema was split"
    whole = _read(text, None)
    assert _found(result) == _found(whole)
    assert result.record == whole.record


def test_no_prompt_is_longer_than_the_room_of_the_model():
    text = "Ada Lovelace was born in New York. " * 100
    source = Oracle(NAMES, FACTS, room=Room.of(1000, 400, len))
    result = _read(text, None, source=source)
    for ask in source.asked:
        prompt = f'{ask.question.prefix}sentence = "{ask.text}"\nresults ='
        assert len(prompt) <= source.room.tokens - source.room.answer
    assert len(result.relations) == 100


def test_what_has_no_room_at_all_is_said():
    with pytest.raises(
        UsageError, match=r"the model has room for 200 tokens, of which a schema may take.*class"
    ):
        Reader(SCHEMA, room=_room(200))
    reader = Reader(load_schema(["person"]), room=_room(123))
    with pytest.raises(KcxError, match=r"text '7'.*tokens to a text, which are too few"):
        reader.read(Record("7", "und", "李白" * 100))


def test_a_short_text_and_schema_are_asked_about_as_they_are():
    text = "Ada met Bob. " * 76
    assert len(text) < 1000
    reading = Reader(SCHEMA, room=Room.of(4096, 256, len)).read(Record("0", "und", text))
    assert [(ask.text, ask.question.schema) for ask in reading.asks] == [(text, SCHEMA)] * 3
    assert len(reading) == 3
    with pytest.raises(ValueError, match="shorter"):
        reading.result([Answer("[]")])


def test_an_empty_schema_is_none():
    with pytest.raises(UsageError, match="the schema is empty"):
        Reader(replace(SCHEMA, concepts=()))


# Several schemas


def test_several_schemas_are_asked_about_together_and_answered_by_name():
    texts = [f"{name} 李白出生于碎叶城 {name}" for name in NAMES] * 3
    source = Oracle(NAMES, FACTS)
    schemas = {"people": [Person], "births": [Person, City, BirthPlace], "labels": ["firm"]}
    results = list(Extractor(source).extract_each(iter(texts), schemas, window=20))
    assert len({ask.question.prefix for ask in source.asked[:20]}) == 4, "text by text, not schema by schema"
    for text, by_name in zip(texts, results, strict=True):
        assert list(by_name) == list(schemas)
        for name, schema in schemas.items():
            (alone,) = Extractor(Oracle(NAMES, FACTS)).extract([text], schema, window=20)
            assert _found(by_name[name]) == _found(alone)
            assert by_name[name].text == text
    with pytest.raises(UsageError, match="no schema is given"):
        Extractor(source).extract_each(texts, {})


@pytest.mark.parametrize("tasks", [["ed", "eae"], ["eae", "ed"]])
def test_an_event_of_both_tasks_has_the_score_of_the_one_that_is_kept(tasks):
    schema = load_schema("class Attack(Event):\n    time: list[str]\n")
    codes = {"ed": ' [Attack("hit")]', "eae": ' [Attack("hit", time=["May"])]'}
    reading = Reader(schema, tasks).read(Record("0", "en", "hit in May"))
    answers = [
        Answer(codes[task], tokens=((len(codes[task]), {"ed": -2.0, "eae": -0.5}[task]),)) for task in tasks
    ]
    (event,) = reading.result(answers).events
    assert event.score == pytest.approx(math.exp(-0.5))


def test_texts_are_read_only_a_little_ahead_of_their_results():
    taken = []

    def endless():
        generator = random.Random(0)
        while True:
            taken.append(" ".join(generator.choices(list(NAMES), k=50)))
            yield taken[-1]

    results = Extractor(Oracle(NAMES, FACTS)).extract(endless(), SCHEMA, window=60)
    for number in range(5):
        assert next(results).text == taken[number]
    assert len(taken) <= 6
