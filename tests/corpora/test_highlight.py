"""A record as HTML: the text survives, marks cover what they should, nothing of the record becomes markup."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.corpora.highlight import direction, facts, highlight, type_colours
from kcx_jax.page import escape


class Reader(HTMLParser):
    """What a browser would make of it: the text, how many marks lie on each character, where labels end."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.depth, self.labels, self.tags = "", [], [], []
        self.open: list[tuple[str, dict]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        name, attributes = self.open.pop()
        assert name == tag
        if "data-label" in attributes:
            self.labels.append((attributes["data-label"], len(self.text)))

    def handle_data(self, data):
        marks = sum(tag == "mark" for tag, _ in self.open)
        self.depth += [marks] * len(data)
        self.text += data


def mention(record_text: str, index: int, start: int, end: int, spans=()) -> Mention:
    return Mention(f"e{index}", f"T{index}", start, end, record_text[start:end], spans)


@st.composite
def records(draw) -> Record:
    text = draw(st.text(st.sampled_from("ab<&\"' \n中ع😀"), min_size=1, max_size=24))
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda p: p[0] < p[1])
    chosen = draw(st.lists(places, max_size=8))
    return Record("r", "en", text, tuple(mention(text, i, *place) for i, place in enumerate(chosen)))


@settings(max_examples=100, deadline=None)
@given(records())
def test_marks_cover_their_spans_however_they_cross(record):
    read = Reader(highlight(record, {}))
    assert read.text == record.text
    assert read.depth == [
        sum(m.start <= place < m.end for m in record.entities) for place in range(len(record.text))
    ]
    assert sorted(read.labels) == sorted((m.type, m.end) for m in record.entities)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_no_text_becomes_markup_or_fails_to_be_written(text):
    page = highlight(Record("r", text, text), {}) + f'<i title="{escape(text)}">'
    page.encode("utf-8")
    assert [tag for tag, _ in Reader(page + "</i>").tags] == ["p", "i"]


def test_a_discontinuous_mention_leaves_its_gap_unmarked():
    record = Record(
        "r", "en", "left and right arm", (mention("left and right arm", 0, 0, 18, ((0, 4), (15, 18))),)
    )
    read = Reader(highlight(record, {}))
    assert "".join(c for c, depth in zip(read.text, read.depth, strict=True) if depth) == "leftarm"
    assert read.labels == [("T0", 18)]


def test_control_characters_show_and_half_a_surrogate_pair_can_be_written():
    assert escape("a\x00b\x1b\ud83d") == "a\u2400b\u241b\ufffd"
    assert escape("a\nb\tc") == "a\nb\tc"


def test_triggers_untyped_arguments_and_the_direction_of_the_script():
    text = "هاجم المتمردون الجسر أمس"
    entity = Mention("e0", "Person", 5, 14, text[5:14])
    time = Argument("time", start=21, end=24, text=text[21:24])
    event = EventMention("Attack", make_span(text, 0, 4), (Argument("attacker", entity="e0"), time))
    record = Record("r", "ar", text, (entity,), (), (event,))
    page = highlight(record, {"Person": 3})
    tags = Reader(page).tags
    assert tags[0] == ("p", {"class": "sentence", "lang": "ar", "dir": "rtl"})
    assert [(a["class"], a["data-label"]) for tag, a in tags if tag == "mark"] == [
        ("trigger", "Attack"),
        ("entity k3", "Person"),
        ("argument", "time"),
    ]
    assert Reader(facts(record)).text == "Attack هاجم: attacker المتمردون, time أمس"


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (("relations", 0), "Likes Ada → Bo"),
        (("events", 0, 1), "guest Bo"),
        (("entities", 1), "Bo"),
        (("events", 0), "met"),
    ],
)
def test_what_is_wrong_is_marked_and_nothing_else(wrong, found):
    text = "Ada met Bo"
    people = (Mention("a", "Person", 0, 3, "Ada"), Mention("b", "Person", 8, 10, "Bo"))
    event = EventMention(
        "Meet", make_span(text, 4, 7), (Argument("host", entity="a"), Argument("guest", entity="b"))
    )
    record = Record("r", "en", text, people, (RelationLink("Likes", "a", "b"),), (event,))
    pages = [highlight(record, {}, {wrong}), facts(record, {wrong})]
    marked = [page for page in pages if "wrong" in page]
    assert len(marked) == 1

    class Wrong(Reader):
        def handle_data(self, data):
            if any("wrong" in attributes.get("class", "") for _, attributes in self.open):
                self.text += data

    assert Wrong(marked[0]).text == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ada", "ltr"),
        ("IBM في بغداد", "rtl"),
        ("1990 – 12", "auto"),
        ("", "auto"),
        ("Ada قال נא", "rtl"),
        ("陈静 ab", "ltr"),
    ],
)
def test_text_runs_as_most_of_its_letters_do(text, found):
    assert direction(text) == found
    assert Reader(highlight(Record("r", "en", text), {})).tags[0][1]["dir"] == found


def test_what_is_missed_is_marked_as_such_where_it_stands():
    text = "Ada met Bo"
    record = Record("r", "en", text, (Mention("a", "Person", 0, 3, "Ada"),))
    read = Reader(highlight(record, {}, (), [("Person", ((8, 10),)), ("Pair", ((0, 3), (8, 10)))]))
    assert read.depth == [2, 2, 2, 0, 0, 0, 0, 0, 2, 2]
    assert sorted(read.labels) == [("Pair", 10), ("Person", 3), ("Person", 10)]
    assert sum("missed" in attributes.get("class", "") for _, attributes in read.tags) == 3


def test_colours_follow_the_order_given_and_repeat():
    names = [f"T{i}" for i in range(12)]
    assert type_colours([*names, "T0"]) == {f"T{i}": i % 10 for i in range(12)}
