"""Kinds of errors: each by hand, and every item counted exactly once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.scoring import error_counts, item_errors, score

TEXT = "abcdefghij"
GOLD_ONLY = ("missed",)
PREDICTED_ONLY = ("spurious", "duplicate", "hallucinated", "unknown_class", "unparsable")
BOTH = ("right", "wrong_type", "wrong_boundary", "wrong_both")


def ner(*items, **meta):
    made = [Mention(f"e{i}", name, a, b, TEXT[a:b]) for i, (name, a, b) in enumerate(items)]
    return Record("1", "en", TEXT, tuple(made), meta=meta)


def kinds(gold, predicted, task="ner"):
    return {kind: n for kind, n in error_counts(item_errors(gold, predicted, task)).items() if n}


def test_each_kind_by_hand():
    gold = ner(("X", 0, 2))
    assert kinds(gold, ner(("X", 0, 2))) == {"right": 1}
    assert kinds(gold, ner(("Y", 0, 2))) == {"wrong_type": 1}
    assert kinds(gold, ner(("X", 1, 3))) == {"wrong_boundary": 1}
    assert kinds(gold, ner(("Y", 1, 3))) == {"wrong_both": 1}
    assert kinds(gold, ner()) == kinds(gold, None) == {"missed": 1}
    assert kinds(gold, ner(("X", 2, 3))) == {"missed": 1, "spurious": 1}
    assert kinds(gold, ner(("X", 0, 2), ("X", 0, 2))) == {"right": 1, "duplicate": 1}
    lost = {"task": "ner", "type": "X", "text": "z"}
    problems = [{"task": "ner", "kind": k, "detail": "", "position": 0} for k in
                ("unknown_class", "wrong_arity", "wrong_argument", "truncated")]  # fmt: skip
    assert kinds(ner(), ner(unresolved=[lost], parse_problems=problems)) == {
        "hallucinated": 1,
        "unknown_class": 1,
        "unparsable": 2,
    }
    assert item_errors(Record("1", "en", TEXT), gold, "ner") == []


def test_what_is_said_more_often_than_the_text_has_it_is_in_the_text():
    for name, found in (("X", {"right": 1, "duplicate": 1}), ("Y", {"wrong_type": 1, "spurious": 1})):
        again = [{"task": "ner", "type": name, "text": TEXT[0:2], "repeated": [TEXT[0:2]]}]
        assert kinds(ner(("X", 0, 2)), ner((name, 0, 2), unresolved=again)) == found


def test_the_best_overlap_is_the_partner():
    gold = ner(("X", 0, 3), ("X", 2, 8))
    (first, second) = item_errors(gold, ner(("X", 2, 7)), "ner")
    assert (first.kind, first.gold.spans) == ("wrong_boundary", ((2, 8),))
    assert (second.kind, second.gold.text) == ("missed", "abc")


def test_a_relation_overlaps_with_both_its_ends():
    def link(head, tail):
        return Record(
            "1", "en", TEXT, ner(("X", *head), ("X", *tail)).entities, (RelationLink("R", "e0", "e1"),)
        )

    assert kinds(link((0, 2), (4, 6)), link((0, 1), (4, 6)), "re") == {"wrong_boundary": 1}
    assert kinds(link((0, 2), (4, 6)), link((0, 2), (7, 8)), "re") == {"missed": 1, "spurious": 1}


SPAN = st.tuples(st.integers(0, 4), st.integers(1, 3)).map(lambda pair: (pair[0], sum(pair)))
AGAIN = st.sampled_from([{}, *({"repeated": texts} for texts in (["z"], ["z", "z"], ["z", 1], 3))])
ITEMS = st.lists(st.tuples(st.sampled_from("XY"), SPAN), max_size=5)


@st.composite
def records(draw):
    items = draw(ITEMS)
    base = ner(*((name, *span) for name, span in items))
    ids = [mention.id for mention in base.entities]
    links = st.lists(
        st.builds(RelationLink, st.sampled_from("RS"), st.sampled_from(ids), st.sampled_from(ids))
    )
    relations = tuple(draw(links)) if ids else ()
    arguments = st.lists(
        st.tuples(st.sampled_from("pq"), SPAN).map(lambda a: Argument(a[0], None, *a[1], TEXT[slice(*a[1])]))
    )
    event = st.builds(
        lambda name, span, given: EventMention(name, make_span(TEXT, *span), tuple(given)),
        st.sampled_from("AB"), SPAN, arguments,
    )  # fmt: skip
    meta = {
        "unresolved": [{"task": t, "type": "X", "text": "z"} | again for t, again in draw(st.lists(st.tuples(
            st.sampled_from(TASKS), AGAIN)))],
        "parse_problems": [{"task": t, "kind": k} for t, k in draw(st.lists(st.tuples(
            st.sampled_from(TASKS), st.sampled_from(["unknown_class", "wrong_arity", "syntax"]))))],
    }  # fmt: skip
    return Record("1", "en", TEXT, base.entities, relations, tuple(draw(st.lists(event, max_size=3))), meta)


TASKS = ("ner", "re", "ed", "eae")


@settings(deadline=None, max_examples=150)
@given(records(), records())
def test_the_kinds_add_up_to_gold_and_to_what_was_predicted(gold, predicted):
    scores = score([gold], [predicted], TASKS)
    for task in TASKS:
        errors, total = item_errors(gold, predicted, task), scores.units[task].total
        counts = error_counts(errors)
        assert sum(counts.values()) == len(errors)
        assert counts["right"] == total.tp
        assert sum(counts[kind] for kind in (*BOTH, *GOLD_ONLY)) == total.tp + total.fn
        assert sum(counts[kind] for kind in (*BOTH, *PREDICTED_ONLY)) == total.tp + total.fp
        for error in errors:
            assert (error.gold is not None) == (error.kind in (*BOTH, *GOLD_ONLY))
            assert (error.predicted is not None) == (error.kind in (*BOTH, *PREDICTED_ONLY))
