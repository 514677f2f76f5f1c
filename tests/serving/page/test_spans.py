"""Marks stand where the server says, whatever the text is made of: checked by what the browser shows."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Canned, answer, result, run

# For every item, in the order of the page, the places of its marks: [[start, end], ...] in code points, joined.
LIT = """() => {
  const pane = document.querySelector(".pane");
  const points = (range) => [...range.toString()].length;
  const place = (mark) => {
    const before = document.createRange();
    before.setStart(pane, 0);
    before.setEndBefore(mark);
    const start = points(before);
    return [start, start + [...mark.textContent].length];
  };
  return [...document.querySelectorAll(".item")].map((item) => {
    item.focus();
    const joined = [];
    for (const [start, end] of [...document.querySelectorAll("mark.on")].map(place))
      if (joined.length && joined.at(-1)[1] === start) joined.at(-1)[1] = end;
      else joined.push([start, end]);
    return joined;
  });
}"""

PIECES = [
    "a",
    "b",
    " ",
    "\n",
    "é",
    "e\u0301",
    "न\u093f",
    "🎉",
    "👩‍👩‍👧",
    "𝒳",
    "字",
    "ש",
    "ع",
    "ท\u0e35\u0e48",
    "\u202e",
    "\ufeff",
    "<b>",
]
"""One and several code points, within and beyond the BMP, from left to right and back."""


@st.composite
def texts_with_spans(draw) -> tuple[str, list[tuple[int, int]]]:
    """Any spans, nested and crossing, in short texts and in such that fill several blocks of the page."""
    some = "".join(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=30)))
    text = "x" + some * draw(st.sampled_from([1, 1, 100])) + "x"
    place = st.integers(0, len(text) - 1)
    ends = draw(st.lists(st.tuples(place, place), min_size=1, max_size=8, unique=True))
    return text, [(min(each), max(each) + 1) for each in ends]


def test_every_item_lights_up_exactly_its_span(opened, site: Canned):
    page = opened()

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(texts_with_spans())
    def check(case) -> None:
        text, spans = case
        spans = list(dict.fromkeys(spans))
        site.says(entities=[(f"kind {number}", start, end, 0.5) for number, (start, end) in enumerate(spans)])
        run(page, text)
        assert site.asked[-1]["text"] == text
        assert page.evaluate("document.querySelector('.pane').textContent") == text
        assert page.evaluate(LIT) == [[list(span)] for span in spans]

    check()


def test_nested_and_crossing_spans_each_show_their_label_once(opened, site: Canned):
    text = "The University of Port Ellery"
    site.says(entities=[("city", 18, 29), ("school", 4, 29), ("odd", 0, 14), ("town", 18, 29)])
    page = opened()
    run(page, text)
    shown = page.eval_on_selector_all(
        "mark", "all => all.map((m) => [m.dataset.label ?? null, m.textContent])"
    )
    assert shown == [
        ["odd", "The University"],
        [None, "University"],
        ["school", " of Port Ellery"],
        ["city", "Port Ellery"],
        ["town", "Port Ellery"],
    ]
    label = "getComputedStyle(document.querySelector('mark'), '::after').content"
    assert page.evaluate(label).endswith('odd"')


def test_offsets_of_relations_and_events_are_those_of_their_parts(opened, site: Canned):
    text = "🎉 Mira 👩‍🚀 joined Orbit on Monday."
    mira, joined, orbit, monday = (
        (text.index(w), text.index(w) + len(w)) for w in ("Mira", "joined", "Orbit", "Monday")
    )
    site.says(
        entities=[("Person", *mira, 0.9), ("Company", *orbit, 0.8)],
        relations=[("WorksFor", ("Person", *mira), ("Company", *orbit), 0.7)],
        events=[(("Hiring", *joined, 0.6), [("who", "Person", *mira), ("when", None, *monday)])],
    )
    page = opened()
    run(page, text)
    lit = [
        [list(span) for span in spans]
        for spans in ([mira], [orbit], [mira, orbit], [joined], [mira], [monday])
    ]
    assert page.evaluate(LIT) == lit
    kinds = page.eval_on_selector_all("mark", "all => all.map((m) => [m.classList[0], m.dataset.label])")
    assert kinds == [["entity", "Person"], ["trigger", "Hiring"], ["entity", "Company"], ["argument", "when"]]
    words = page.inner_text(".list:has(.roles)")
    assert all(part in words for part in ("Hiring", "joined", "who", "Mira", "when", "Monday", "0.60"))


def test_a_mark_shows_its_items_and_the_other_way_round(opened, site: Canned):
    site.says(
        entities=[("Person", 0, 3, 0.9), ("City", 7, 11, 0.8)],
        relations=[("LivesIn", ("Person", 0, 3), ("City", 7, 11), None)],
    )
    page = opened()
    run(page, "Ada in Oslo")
    on = "all => all.filter((each) => each.matches('.on')).length"
    page.hover("mark >> nth=0")
    assert page.eval_on_selector_all(".item", on) == 2  # the entity and its relation
    page.hover(".row")
    assert page.eval_on_selector_all("mark", on) == 2
    page.hover("h1")
    assert page.eval_on_selector_all(".on", "all => all.length") == 0


def test_line_ends_are_what_the_browser_sends(opened, site: Canned):
    site.reply = lambda body, _: (200, {}, answer(result(body["text"], entities=[("City", 6, 10, 1.0)])))
    page = opened()
    run(page, "one\r\n\r\nOslo\r\n")
    assert site.asked[-1]["text"] == "one\n\nOslo\n"
    assert page.evaluate(LIT) == [[[6, 10]]]


def paste(page, text: str) -> None:
    """`text` in the field instead of what stands there, as people bring long texts."""
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    page.focus("#text")
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+v")


WATCH = """() => {
  window.turns = 0;
  window.watch?.disconnect();
  window.watch = new MutationObserver(() => window.turns++);
  window.watch.observe(document.querySelector("#found"), { childList: true, subtree: true });
}"""
INSIDE = """() => {
  const [pane, mark] = [".pane", "mark.on"].map((each) => document.querySelector(each).getBoundingClientRect());
  return pane.top <= mark.top && mark.bottom <= pane.bottom;
}"""
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.mark.parametrize("end", ["\n", " "])
def test_a_long_text_is_drawn_whole_and_in_pieces(opened, site: Canned, end):
    """200,000 characters, in lines or in one; the browser has its turn between the pieces."""
    line = "陈静🎉 moved from Chengdu to Hangzhou, and back." + end
    text = (line * 5000)[:200_000]
    starts = range(0, len(text) - len(line), len(line))
    people = [("Person", start, start + 2, 0.5) for start in starts]
    cities = [("City", start + 15, start + 22, 0.4) for start in starts]
    site.says(entities=people + cities)
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    paste(page, text)
    page.evaluate(WATCH)
    run(page)
    assert site.asked[-1]["text"] == text
    assert page.inner_text("#length") == "200,000 characters"
    assert page.evaluate("window.turns") > 2
    assert page.evaluate("document.querySelector('.pane').textContent") == text
    shown = page.eval_on_selector_all("mark", "all => all.map((mark) => mark.textContent)")
    assert sorted(shown) == sorted(text[start:end] for _, start, end, _ in people + cities)
    page.evaluate("document.querySelectorAll('.group')[1].querySelector('li:last-child .item').focus()")
    page.evaluate(FRAMES)
    assert page.evaluate(INSIDE)  # scrolled to
