"""The baselines: right answers give perfect figures, each mistake costs what it should, and every figure adds up."""

import importlib.util
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, ParallelRecord, Record
from kcx_jax.errors import UsageError
from kcx_jax.llm import ChatClient, EndpointError, Ledger, RetryPolicy
from kcx_jax.parallel.projection import METHODS, figures, project
from kcx_jax.parallel.projection.alignment import align, carry, symmetrised
from kcx_jax.parallel.projection.markers import assign, mark, marks_for, unmark
from kcx_jax.parallel.report.shares import Share
from kcx_jax.parallel.translation.checks import Refusal
from kcx_jax.parallel.translation.spans import SourceSpan, source_spans
from kcx_jax.testing.llm_server import ScriptedServer

QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02, breaker=99)
RATES = {"paraphrased_span": 0.1}  # asked once a span; what is refused is asked for again
ASKING = ("translate-find", "clap", "markers")
needs_eflomal = pytest.mark.skipif(
    importlib.util.find_spec("eflomal") is None, reason="needs the extra align"
)


def _project(pairs, method, faults=None, seed=0, **options):
    with ScriptedServer(pairs=pairs, faults=faults, seed=seed) as server:
        client = ChatClient("m", server.base_url, retry=QUICK, **options)
        return project([pair.source for pair in pairs], "zh", client, method), server.bill


def _gold(pairs) -> dict[str, Record]:
    return {pair.source.id: pair.target for pair in pairs}


@pytest.fixture(scope="module")
def simple(pairs):
    """Pairs of which the words of each span alone are its words in the sentence."""
    return pairs[:12]


@pytest.mark.parametrize("method", ASKING)
def test_right_answers_are_faithful(method, simple, tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        made, bill = _project(simple, method, ledger=ledger)
    counted = figures(made, _gold(simple))
    for key in ("faithful_verbatim", "faithful_resolved", "spans"):
        assert counted[key]["share"] == 1
    assert counted["span_f1"]["f1"] == 1
    assert counted["span_f1"]["same_sentence"] == len(simple)
    assert (counted["calls"], counted["unknown_usage"]) == (bill.answers, 0)
    assert (counted["input_tokens"], counted["output_tokens"]) == (bill.input_tokens, bill.output_tokens)
    spans = {(pair.id, span.id) for pair in simple for span in source_spans(pair.source)}
    words = {span.text for pair in simple for span in source_spans(pair.source)}
    asked = {"translate-find": len(simple) + len(words), "clap": len(simple) + len(spans)}
    assert counted["calls"] == asked.get(method, len(simple) + len(words))
    for row, pair in zip(made.projected, simple, strict=True):
        assert row.target == replace(pair.target, meta={})


def test_a_run_is_continued_from_its_ledger(simple, tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, _ = _project(simple, "clap", ledger=ledger)
        again, bill = _project(simple, "clap", ledger=ledger)
    assert bill.answers == 0
    assert figures(again) == figures(first)


@pytest.mark.parametrize(
    ("method", "fault", "loses_sentence"),
    [
        ("translate-find", "paraphrased_span", False),
        ("clap", "paraphrased_span", False),
        ("markers", "missing_span", True),
        ("clap", "broken_json", True),
        ("clap", "untranslated", True),
    ],
)
def test_a_mistake_costs_what_it_should(method, fault, loses_sentence, simple):
    none, _ = _project(simple, method, {fault: 1.0})
    counted = figures(none, _gold(simple))
    assert counted["faithful_resolved"]["count"] == counted["faithful_verbatim"]["count"] == 0
    assert (counted["without_sentence"] == len(simple)) == loses_sentence
    assert all(row.problem for row in none.projected) == loses_sentence
    assert counted["span_f1"]["f1"] == 0
    some, bill = _project(simple, method, {fault: RATES.get(fault, 0.6)}, seed=4)
    assert bill.faults[fault]
    kept = figures(some, _gold(simple))
    whole = [row.target is not None for row in some.projected]
    assert kept["faithful_resolved"]["count"] == sum(whole)
    assert 0 < sum(whole) < len(simple)
    for row in some.projected:
        assert (row.target is not None) == (row.sentence is not None and len(row.matches) == 4)


def test_a_record_without_spans_counts_and_an_odd_one_is_told(tmp_path):
    plain = ParallelRecord("p", Record("p", "en", "It rained.", ()), Record("p", "zh", "下雨了。", ()))
    text = "Ada [1] {2} <3> left."
    odd = ParallelRecord(
        "o",
        Record("o", "en", text, (Mention("e0", "Person", 0, 3, "Ada"),)),
        Record("o", "zh", "艾达走了。", (Mention("e0", "Person", 0, 2, "艾达"),)),
    )
    made, _ = _project([plain, odd], "markers")
    assert [row.target is None for row in made.projected] == [False, True]
    assert "brackets of every kind" in made.projected[1].problem
    counted = figures(made)
    assert (counted["faithful_resolved"]["of"], counted["faithful_resolved_with_spans"]["of"]) == (2, 1)


def test_another_sentence_than_golds_is_scored_by_its_words(simple):
    made, _ = _project(simple, "clap")
    other = {id: _later(gold) for id, gold in _gold(simple).items()}
    counted = figures(made, other)["span_f1"]
    assert (counted["f1"], counted["same_sentence"]) == (1, 0)
    nowhere = {id: replace(gold, text="x" * len(gold.text), entities=()) for id, gold in other.items()}
    assert figures(made, nowhere)["span_f1"]["f1"] == 0


def _later(record: Record) -> Record:
    mentions = tuple(replace(m, start=m.start + 2, end=m.end + 2) for m in record.entities)
    return Record(record.id, record.language, f"昨天{record.text}", mentions)


def test_what_stops_a_run_is_raised(simple):
    with pytest.raises(UsageError, match="translate-find, clap, markers, align"):
        project([], "zh", ChatClient("m", "http://127.0.0.1:9/v1"), "magic")
    client = ChatClient("m", "http://127.0.0.1:9/v1", retry=QUICK)
    with pytest.raises(EndpointError):
        project([pair.source for pair in simple], "zh", client, "clap")
    assert set(METHODS) == {*ASKING, "align"}


@st.composite
def _nested(draw):
    """A text without brackets, and spans in it that do not cross."""
    text = draw(st.text("abc 中文,", min_size=1, max_size=20).filter(str.strip))
    places: set[tuple[int, int]] = set()
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(text) - 1))
        place = (start, draw(st.integers(start + 1, len(text))))
        words = text[slice(*place)]
        if words.strip() == words and not any(_cross(place, other) for other in places):
            places.add(place)
    ordered = sorted(places, key=lambda place: (place[0], -place[1]))
    return text, [SourceSpan(f"s{i}", *place, text[slice(*place)], "X") for i, place in enumerate(ordered)]


def _cross(one, other) -> bool:
    (a, b), (c, d) = sorted([one, other])
    return a < c < b < d


@given(_nested(), st.sampled_from(["[]", "{}", "<>"]))
def test_marks_come_out_as_they_went_in(case, marks):
    text, spans = case
    marked = mark(text, spans, marks)
    plain, parts = unmark(marked, marks, len(spans))
    assert plain == text
    assert parts == [(span.start, span.end) for span in spans]
    assert unmark(marked.translate(str.maketrans("[]{}<>", "【】｛｝＜＞")), marks, len(spans)) == (
        plain,
        parts,
    )
    found = assign(text, parts, spans, {span.id: span.text for span in spans})
    assert {id: text[slice(*place)] for id, place in found.items()} == {span.id: span.text for span in spans}
    with pytest.raises(Refusal):
        unmark(marked, marks, len(spans) + 1)


def test_broken_marks_are_refused():
    for text in ("[a", "a]", "][", "[]", "[ ]", "[a] [b]"):
        with pytest.raises(Refusal):
            unmark(text, "[]", 1)
    assert unmark("x [ a ] y", "[]", 1) == ("x  a  y", [(3, 4)])
    crossing = [SourceSpan("s0", 0, 3, "abc", "X"), SourceSpan("s1", 2, 4, "cd", "X")]
    with pytest.raises(Refusal, match="cross"):
        mark("abcd", crossing, "[]")
    assert [marks_for(text) for text in ("a", "a［", "]{", "[{<")] == ["[]", "{}", "<>", None]
    unlike = assign("xyz", [(0, 3)], [SourceSpan("s0", 0, 3, "abc", "X")], {"s0": "abc"})
    assert unlike == {}


def test_alignment_is_grown_and_carried():
    assert symmetrised({(0, 0), (1, 1)}, {(0, 0), (2, 1), (9, 9)}) == {(0, 0), (1, 1), (2, 1)}
    span = SourceSpan("s0", 0, 7, "red car", "X")
    source, target = "red car !", "(coche rojo) !"  # ( coche rojo ) !
    assert carry([span], source, target, {(0, 2), (1, 1)}) == {"s0": (1, 11)}
    assert carry([span], source, target, {(0, 2), (1, 0)}) == {"s0": (7, 11)}  # a mark at an end is no part
    assert carry([span], source, target, {(2, 4)}) == {}
    assert carry([span], "red car", "a b c d e f", {(0, 0), (0, 3), (1, 4)}) == {
        "s0": (6, 9)
    }  # the longest run


def _word_by_word(count: int) -> list[ParallelRecord]:
    """Sentences of two invented languages of twelve words each, in turned order, with one word marked."""
    rng, words, pairs = (
        Random(3),
        [("".join(w), "".join(w)[::-1].upper()) for w in product("bkt", "ao", "mn")],
        [],
    )
    for n in range(count):
        chosen = rng.sample(words, 6)
        at = rng.randrange(6)
        sides = []
        for language, texts in (("en", [a for a, _ in chosen]), ("zh", [b for _, b in reversed(chosen)])):
            place = at if language == "en" else 5 - at
            start = len(" ".join(texts[:place])) + bool(place)
            mention = Mention("e0", "Person", start, start + len(texts[place]), texts[place])
            sides.append(Record(f"r{n}", language, " ".join(texts), (mention,)))
        pairs.append(ParallelRecord(f"r{n}", *sides))
    return pairs


@needs_eflomal
def test_alignment_finds_the_words_of_an_easy_corpus():
    pairs = _word_by_word(300)
    made, bill = _project(pairs, "align")
    counted = figures(made, _gold(pairs))
    assert counted["calls"] == len({pair.source.text for pair in pairs}) <= bill.answers
    assert counted["span_f1"]["f1"] > 0.9
    assert counted["faithful_resolved"]["count"] == sum(row.target is not None for row in made.projected)


@needs_eflomal
def test_texts_without_a_token_are_not_aligned():
    assert align([]) == []
    assert align([("", "a"), (" ", "")]) == [set(), set()]


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_holds_the_share_and_mirrors(count, rest):
    low, high = Share(count, count + rest).interval or (0.0, 1.0)
    assert 0 <= low <= high <= 1
    if count + rest:
        assert low <= count / (count + rest) <= high
    mirrored = Share(rest, count + rest).interval or (0.0, 1.0)
    assert mirrored == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_wilson_is_the_published_one():
    """Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    known = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for case, interval in known.items():
        assert Share(*case).interval == pytest.approx(interval, abs=5e-5)
