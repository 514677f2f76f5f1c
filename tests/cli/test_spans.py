"""What a person sees: every character of the text once, labels behind their spans, no control codes."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from kcx_jax.cli.spans import render
from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.extraction import Result
from kcx_jax.page import visible
from kcx_jax.schema import load_schema

SCHEMA = load_schema(["person", "city"])


def _mention(text, number, start, end, label="Person"):
    return Mention(f"e{number}", label, start, end, text[start:end])


@settings(deadline=None)
@given(
    st.text(min_size=1, max_size=30), st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=5)
)
def test_spans_of_any_nesting_leave_the_text_as_it_is(text, pairs):
    spans = {(s, e) for s, e in pairs if s < e <= len(text)}
    mentions = tuple(_mention(text, n, s, e) for n, (s, e) in enumerate(sorted(spans)))
    drawn = render(Result(Record("r", "und", text, mentions), SCHEMA)).plain
    assert drawn.count("[person]") - text.count("[person]") >= len(mentions) * ("[person]" not in text)
    if "[person]" not in text:
        assert drawn.replace("[person]", "") == visible(text)


def test_no_escape_comes_between_the_characters_of_a_span():
    """A terminal would draw Arabic letters apart, and marks without their letters."""
    text = "قال مُحَمَّد شيئا"
    record = Record("r", "ar", text, (_mention(text, 0, 4, 12),))
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=200)
    console.print(render(Result(record, SCHEMA)))
    drawn = console.file.getvalue()
    assert "\x1b[" in drawn
    assert text[:4] in drawn
    assert text[4:12] in drawn
    assert text[12:] in drawn


def test_labels_stand_where_their_spans_end_the_inner_one_first():
    text = "the mayor of Rome left"
    record = Record(
        "r", "en", text, (_mention(text, 0, 0, 17), _mention(text, 1, 13, 17, "City")),
        events=(EventMention("Leave", make_span(text, 18, 22)),),
    )  # fmt: skip
    lines = render(Result(record, SCHEMA)).plain.split("\n")
    assert lines == ["the mayor of Rome[city][person] left[Leave]", "  Leave: left"]


def test_a_text_cannot_steer_the_terminal():
    text = "a\x1b[2Jb\x07\x9bc\x7f [red]d"
    out = io.StringIO()
    Console(file=out, force_terminal=False, highlight=False).print(
        render(Result(Record("r", "und", text, ()), SCHEMA)), soft_wrap=True
    )
    assert out.getvalue() == "a␛[2Jb␇�c␡ [red]d\n"


def test_a_text_cannot_turn_what_is_around_it():
    text = "safe \u202eevil\u202c \u2067x\u2069"
    assert render(Result(Record("r", "und", text, ()), SCHEMA)).plain == "safe [RLO]evil[PDF] [RLI]x[PDI]"


def test_of_what_stands_in_parts_the_parts_are_marked():
    text = "pain in left and right arm"
    pain = Mention("e0", "Person", 0, 26, text, ((0, 12), (23, 26)))
    drug = Argument("drug", start=5, end=26, text=text[5:], spans=((5, 7), (17, 26)))
    event = EventMention("Hurt", make_span(text, 0, 4), (drug,))
    marked = render(Result(Record("r", "en", text, (pain,)), SCHEMA))
    underlined = {
        i for span in marked.spans if "underline" in str(span.style) for i in range(span.start, span.end)
    }
    assert underlined == {*range(12), *range(23, 26)}
    lines = render(Result(Record("r", "en", text, events=(event,)), SCHEMA)).plain.split("\n")
    assert lines[1] == "  Hurt: pain drug=in … right arm"


def test_what_any_task_finds_is_marked_in_the_text():
    text = "Ada met Bob in May"
    people = (_mention(text, 0, 0, 3), _mention(text, 1, 8, 11))
    time = {"start": 15, "end": 18, "text": "May"}
    met = EventMention(
        "Meeting", make_span(text, 4, 7), (Argument("participant", entity="e0"), Argument("time", **time))
    )
    record = Record("r", "und", text, people, (RelationLink("Knows", "e0", "e1"),), (met, met))
    lines = render(Result(record, SCHEMA)).plain.split("\n")
    assert lines[0] == "Ada[person] met[Meeting][Meeting] Bob[person] in May[time]"
    assert lines[1:] == ["  Knows: Ada -> Bob", *["  Meeting: met participant=Ada, time=May"] * 2]
