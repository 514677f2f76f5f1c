"""Where translations stand: each in a place of its own, related as in the source."""

import unicodedata
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record
from kcx_jax.parallel.translation.matching import APART, INSIDE, locate
from kcx_jax.parallel.translation.spans import SourceSpan, source_spans


def _found(record, sentence, *texts):
    spans = source_spans(record)
    matches = locate(sentence, spans, dict(zip((span.id for span in spans), texts, strict=True)))
    return [(matches[s.id].start, matches[s.id].end) if s.id in matches else None for s in spans]


def test_repeated_mentions_take_the_occurrences_in_order(mark):
    record = mark("[Ada|e0:P] met [Bob|e1:P]; [Ada|e2:P] left, [Ada|e3:P] came")
    sentence = "艾达遇见鲍勃；艾达走了"
    assert _found(record, sentence, "艾达", "鲍勃", "艾达", "艾达") == [(0, 2), (4, 6), (7, 9), None]


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(0, 2))
def test_of_as_many_occurrences_as_in_the_source_each_mention_takes_its_own(annotated, more):
    source = " and ".join(["Ada"] * len(annotated))
    mentions = tuple(
        Mention(f"e{i}", "P", 8 * i, 8 * i + 3, "Ada")
        for i, is_annotated in enumerate(annotated)
        if is_annotated
    )
    record = Record("r", "en", f"{source} in Adana", mentions)  # where the name cuts a word it is none
    own = [(3 * i, 3 * i + 2) for i, is_annotated in enumerate(annotated) if is_annotated]
    found = _found(record, "和".join(["艾达"] * (len(annotated) + more)), *["艾达"] * len(own))
    in_order = [(3 * i, 3 * i + 2) for i in range(len(own))]
    assert found == (own if more == 0 else in_order)


def test_mentions_that_differ_only_in_the_source_share_the_occurrences_in_order(mark):
    record = mark("The [US|e0:C] and [America|e1:C]")
    assert _found(record, "美国和美国", "美国", "美国") == [(0, 2), (3, 5)]


def test_a_short_mention_does_not_hide_in_a_longer_one(mark):
    record = mark("[China|e0:C] and the [People's Bank of China|e1:O]")
    bank = "中国人民银行"
    assert _found(record, f"{bank}和中国", "中国", bank) == [(7, 9), (0, 6)]
    assert _found(record, f"{bank}而已", "中国", bank) == [None, (0, 6)]


def test_an_inner_mention_stays_inside(mark):
    record = mark("[The Bank of [China|e1:C]|e0:O] and [China|e2:C]")
    assert _found(record, "中国和中国银行", "中国银行", "中国", "中国") == [(3, 7), (3, 5), (0, 2)]
    assert _found(record, "中国和那家银行", "那家银行", "中国", "中国") == [(3, 7), None, (0, 2)]


def test_inner_and_outer_may_fall_together(mark):
    record = mark("the [city of [Rome|e1:City]|e0:Place]")
    assert _found(record, "罗马很大", "罗马", "罗马") == [(0, 2), (0, 2)]


@pytest.mark.parametrize(
    ("sentence", "text", "place"),
    [
        ("Indiana is flat", "India", None),
        ("Indiana, India", "India", (9, 14)),
        ("他去了India吧", "India", (3, 8)),
        ("Привет, мир", "мир", (8, 11)),
        ("замирает", "мир", None),
        ("na\u0308he", "na", None),  # a letter is not parted from its mark
    ],
)
def test_a_place_that_cuts_a_word_is_none(mark, sentence, text, place):
    assert _found(mark("[x|e0:T]"), sentence, text) == [place]


def test_normal_forms_match_and_the_rung_says_so(mark):
    spans = source_spans(mark("[Zürich|e0:City]"))
    sentence = f"in {unicodedata.normalize('NFD', 'Zürich')} war es"
    match = locate(sentence, spans, {"s0": "Zürich"})["s0"]
    assert (match.rung, sentence[match.start : match.end]) == ("nfc", unicodedata.normalize("NFD", "Zürich"))
    match = locate("in Zürich war es", spans, {"s0": "Zürich"})["s0"]
    assert match.rung == "verbatim"


@pytest.mark.parametrize(
    ("sentence", "text", "rung", "surface"),
    [
        ("他是ada。", "Ada", "case", "ada"),
        ("他是ＡＤＡ。", "Ada", "width", "ＡＤＡ"),
        ("艾\u200b达来了", "艾达", "width", "艾\u200b达"),
        ("李・白来了", "李•白", "marks", "李・白"),
        ("“艾达”来了", "「艾达」", "marks", "“艾达”"),
        ("1914–1918年", "1914-1918", "marks", "1914–1918"),
        ("他是 Ada", "Ada.", "ends", "Ada"),
        ("蘋果", "苹果", None, None),
        ("die Adas", "ADA", None, None),
    ],
)
def test_a_looser_form_is_found_by_its_rung_and_stays_the_sentences_own(mark, sentence, text, rung, surface):
    match = locate(sentence, source_spans(mark("[x|e0:T]")), {"s0": text}).get("s0")
    assert (match and match.rung, match and sentence[match.start : match.end]) == (rung, surface)


def test_what_stands_otherwise_than_in_the_source_is_taken_last_and_flagged(mark):
    bank = "中国人民银行"
    apart = mark("[China|e0:C] and the [People's Bank of China|e1:O]")
    nested = mark("The [Bank of [China|e1:C]|e0:O] left")
    for record, sentence, texts, places in (
        (apart, f"{bank}和中国", ("中国", bank), [(7, 9, ()), (0, 6, ())]),
        (apart, f"{bank}而已", ("中国", bank), [(0, 2, (INSIDE,)), (0, 6, ())]),
        (nested, "中国和那家银行", ("那家银行", "中国"), [(3, 7, ()), (0, 2, (APART,))]),
        (apart, bank, (bank, bank), [(0, 6, ()), None]),  # one place is not two mentions
        (apart, "中国人民", ("中国人", "国人民"), [(0, 3, ()), None]),
    ):
        spans = source_spans(record)
        matches = locate(sentence, spans, {f"s{i}": text for i, text in enumerate(texts)}, flagged=True)
        found = [matches.get(span.id) for span in spans]
        assert [match and (match.start, match.end, match.flags) for match in found] == places


@st.composite
def _cases(draw):
    """A few source spans on a short text, and translations over two wide letters (no word boundaries)."""
    places = draw(
        st.lists(
            st.tuples(st.integers(0, 6), st.integers(1, 4)).map(lambda p: (p[0], p[0] + p[1])),
            min_size=1, max_size=4, unique=True,
        )
    )  # fmt: skip
    places.sort(key=lambda place: (place[0], -place[1]))
    spans = [
        SourceSpan(f"s{i}", start, end, "x" * (end - start), "T") for i, (start, end) in enumerate(places)
    ]
    texts = {span.id: draw(st.text("中国", min_size=1, max_size=3)) for span in spans}
    return spans, texts, draw(st.text("中国和", max_size=9))


@settings(deadline=None)
@given(_cases())
def test_flags_only_add_matches_and_say_what_differs(case):
    spans, texts, sentence = case
    strict, found = locate(sentence, spans, texts), locate(sentence, spans, texts, flagged=True)
    assert {name: found[name] for name in strict} == strict
    assert all(found[name].flags for name in found.keys() - strict)
    for one, other in product([span for span in spans if span.id in found], repeat=2):
        inner, outer = found[one.id], found[other.id]
        overlap = inner.start < outer.end and outer.start < inner.end
        if overlap and not one.meets(other):
            assert INSIDE in inner.flags + outer.flags
            assert inner != outer
        if not overlap and other.holds(one):
            assert APART in inner.flags + outer.flags


@settings(deadline=None)
@given(_cases())
def test_what_is_found_is_the_text_and_stands_as_in_the_source(case):
    spans, texts, sentence = case
    found = locate(sentence, spans, texts)
    for span, match in ((span, found[span.id]) for span in spans if span.id in found):
        assert sentence[match.start : match.end] == texts[span.id]
    for one, other in product([span for span in spans if span.id in found], repeat=2):
        inner, outer = found[one.id], found[other.id]
        apart = one.end <= other.start or other.end <= one.start
        if apart:
            assert inner.end <= outer.start or outer.end <= inner.start
        if other.start <= one.start and one.end <= other.end:
            assert outer.start <= inner.start
            assert inner.end <= outer.end


@settings(deadline=None)
@given(st.lists(st.sampled_from(["中", "国"]), min_size=1, max_size=4), st.text("和，", max_size=2))
def test_mentions_apart_are_all_found_where_the_sentence_lists_them(texts, joiner):
    joiner += "。"
    spans = [SourceSpan(f"s{i}", 2 * i, 2 * i + 1, "x", "T") for i in range(len(texts))]
    found = locate(joiner.join(texts), spans, {f"s{i}": text for i, text in enumerate(texts)})
    step = 1 + len(joiner)
    assert {name: match.start for name, match in found.items()} == {
        f"s{i}": i * step for i in range(len(texts))
    }
