"""Scores by hand, against a brute-force matcher, and what must not change them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema
from kcx_jax.scoring import ground, score

TEXT = "abcdefgh"


def entity(id, type, start, end):
    return Mention(id, type, start, end, TEXT[start:end])


def event(type, start, *arguments):
    """Arguments are (role, entity id) or (role, start, end)."""
    made = [
        Argument(a[0], entity=a[1]) if len(a) == 2 else Argument(a[0], None, a[1], a[2], TEXT[a[1] : a[2]])
        for a in arguments
    ]
    return EventMention(type, make_span(TEXT, start, start + 1), tuple(made))


def record(id="1", entities=None, relations=None, events=None, text=TEXT, **meta):
    return Record(id, "en", text, entities, relations, events, meta)


def counts(gold, predicted, **options):
    scores = score([gold] if isinstance(gold, Record) else gold, predicted, **options)
    return {name: (s.total.tp, s.total.fp, s.total.fn) for name, s in scores.units.items()}


def test_entities_by_hand():
    gold = record(entities=(entity("a", "X", 0, 2), entity("b", "X", 3, 4), entity("c", "Y", 0, 2)))
    guess = record(entities=(entity("0", "X", 0, 2), entity("1", "X", 0, 2), entity("2", "Y", 3, 4)))
    scores = score([gold], [guess])
    total = scores.units["ner"].total
    assert (total.tp, total.fp, total.fn) == (1, 2, 2)  # a unit of gold is used once
    assert (total.precision, total.recall, total.f1) == (pytest.approx(1 / 3),) * 3
    assert scores.f1("ner") == pytest.approx(1 / 3)
    per_type = {k: (c.tp, c.fp, c.fn) for k, c in scores.units["ner"].per_type.items()}
    assert per_type == {"X": (1, 1, 1), "Y": (0, 1, 1)}


def test_gold_that_repeats_a_unit_wants_it_twice():
    twice = (entity("a", "X", 0, 2), entity("b", "X", 0, 2))
    assert counts(record(entities=twice), [record(entities=twice)])["ner"] == (2, 0, 0)
    assert counts(record(entities=twice), [record(entities=twice[:1])])["ner"] == (1, 0, 1)


def test_events_of_one_type_on_one_trigger_are_one_mention_of_it():
    shared = (event("A", 0), event("A", 0), event("B", 0))
    for mode in ("strict", "text"):
        scores = score([record(events=shared)], [record(events=shared[1:])], ["ed"], mode)
        total = scores.units["ed"].total
        assert (total.tp, total.fp, total.fn) == (2, 0, 0)


def test_relations_by_hand():
    entities = (entity("a", "X", 0, 1), entity("b", "Y", 2, 3))
    gold = record(entities=entities, relations=(RelationLink("R", "a", "b"), RelationLink("S", "a", "b")))
    other = (entity("p", "X", 0, 1), entity("q", "Z", 2, 3))
    guess = record(entities=other, relations=(RelationLink("R", "p", "q"), RelationLink("S", "q", "p")))
    found = counts(gold, [guess], tasks=["re"])
    assert found == {"re": (1, 1, 1), "re_strict": (0, 2, 2)}


def test_events_by_hand():
    entities = (entity("a", "X", 4, 5),)
    gold = record(
        entities=entities,
        events=(event("A", 0, ("who", "a"), ("when", 6, 8)), event("B", 1, ("who", "a"))),
    )
    guess = record(
        entities=(entity("z", "W", 4, 5),),
        events=(event("A", 2, ("who", "z"), ("where", 6, 8)), event("C", 1, ("who", "z"))),
    )
    found = counts(gold, [guess], tasks=["ed", "eae"])
    assert found == {
        "ed_identification": (1, 1, 1),
        "ed": (0, 2, 2),
        "eae_identification": (2, 1, 1),
        "eae": (1, 2, 2),
        "eae_attached_identification": (0, 3, 3),
        "eae_attached": (0, 3, 3),
    }
    assert counts(gold, [gold], tasks=["eae"])["eae_attached"] == (3, 0, 0)


def test_empty_against_empty_adds_nothing():
    scores = score([record(entities=())], [record(entities=())])
    assert counts(record(entities=()), [record(entities=())]) == {"ner": (0, 0, 0)}
    assert scores.f1("ner") == 0.0


def test_what_was_not_grounded_or_read_is_a_false_positive():
    guess = record(
        entities=(),
        unresolved=[
            {"task": "ner", "type": "X", "text": "z"},
            {"type": "Y", "text": "z"},
            {"task": "re", "type": "R", "text": "z"},
        ],
        parse_problems=[
            {"task": "ner", "kind": "unknown_class", "detail": "", "position": 0},
            {"task": "ner", "kind": "truncated", "detail": "", "position": 9},
            {"task": "ed", "kind": "wrong_arity", "detail": "", "position": 0},
        ],
    )
    scores = score([record(entities=(entity("a", "X", 0, 1),))], [guess])
    total = scores.units["ner"].total
    assert (total.tp, total.fp, total.fn) == (0, 3, 1)
    assert {k: c.fp for k, c in scores.units["ner"].per_type.items()} == {"X": 1, "Y": 1}
    assert scores.flagged == {"ner": 1}


def test_a_lost_argument_is_counted_under_its_role():
    lost = {"task": "eae", "type": "A", "role": "who", "text": "z"}
    gold = record(events=(event("A", 0, ("who", 1, 2)),))
    scores = score([gold], [record(events=(), unresolved=[lost])], tasks=["ed", "eae"])
    assert scores.units["eae"].per_type["A.who"].fp == 1
    assert scores.units["eae_attached_identification"].per_type["A"].fp == 1
    assert scores.units["ed"].total.fp == 0


def test_only_what_gold_annotates_is_scored():
    gold = [record("1", entities=(entity("a", "X", 0, 1),)), record("2", relations=())]
    guess = [record("1", entities=()), record("2", entities=(entity("a", "X", 0, 1),), relations=())]
    scores = score(gold, guess)
    assert counts(gold, guess) == {"ner": (0, 0, 1), "re": (0, 0, 0), "re_strict": (0, 0, 0)}
    assert scores.records == {"ner": 1, "re": 1}
    with pytest.raises(KcxError, match="no gold record is annotated for the task 'ed'"):
        score(gold, guess, tasks=["ed"])
    assert "eae" not in score([record(events=(event("A", 0),))], []).units


def test_a_missing_prediction_counts_as_empty_and_is_reported():
    gold = [record(str(i), entities=(entity("a", "X", 0, 1),)) for i in range(3)]
    scores = score(gold, [gold[0], record("1")])
    assert scores.missing == {"ner": ("1", "2")}
    assert counts(gold, [gold[0], record("1")]) == {"ner": (1, 0, 2)}


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([record(), record()], [], "gold: records 1 and 2 .* have the same id"),
        ([record(entities=())], [record(), record()], "predicted: records 1 and 2 .* have the same id"),
        (
            [record(entities=())],
            [record("2")],
            "1 predicted records have no gold record of their id, such as '2'",
        ),
        (
            [record(entities=())],
            [record(text="abc")],
            "record '1': the predicted text is not the gold text: 'abc'",
        ),
        ([record(entities=())], [record(unresolved={})], "meta.unresolved must be a list of objects"),
    ],
)
def test_what_cannot_be_joined_is_an_error(gold, predicted, message):
    with pytest.raises(KcxError, match=message):
        score(gold, predicted)


def test_unknown_names_are_refused():
    gold = [record(entities=())]
    for options in ({"mode": "loose"}, {"tasks": ["pos"]}):
        with pytest.raises(UsageError, match="known: "):
            score(gold, gold, **options)
    with pytest.raises(UsageError, match="there are: ner"):
        score(gold, gold).f1("re")


SPANS = st.tuples(st.integers(0, 2), st.integers(1, 2)).map(lambda pair: (pair[0], sum(pair)))
TYPES = st.sampled_from("XY")


@st.composite
def records(draw, id):
    places = draw(st.lists(st.tuples(TYPES, SPANS), min_size=1, max_size=5))
    entities = tuple(entity(f"e{i}", type, *span) for i, (type, span) in enumerate(places))
    ids = st.sampled_from([e.id for e in entities])
    relations = tuple(draw(st.lists(st.builds(RelationLink, TYPES, ids, ids), max_size=4)))
    argument = st.tuples(TYPES, ids) | st.tuples(TYPES, SPANS).map(lambda a: (a[0], *a[1]))
    events = draw(st.lists(st.tuples(TYPES, st.integers(0, 2), st.lists(argument, max_size=3)), max_size=3))
    made = tuple(event(type, start, *arguments) for type, start, arguments in events)
    return record(id, entities, relations, made)


def brute(gold, guess, unit):
    """Strike each predicted unit from the list of gold ones, one at a time."""

    def span(item, mentions):
        mention = mentions[item.entity] if item.entity is not None else item
        return mention.start, mention.end

    def units(record):
        m = {e.id: e for e in record.entities}
        if unit == "ner":
            return [(e.start, e.end, e.type) for e in record.entities]
        if unit.startswith("re"):
            ends = [(m[r.head], m[r.tail], r.type) for r in record.relations]
            types = [(h.type, t.type) if unit == "re_strict" else () for h, t, _ in ends]
            return [(h.start, h.end, t.start, t.end, n, x) for (h, t, n), x in zip(ends, types, strict=True)]
        if unit.startswith("ed"):
            mentions = {(e.trigger, e.type) for e in record.events}
            return [(trigger, name if unit == "ed" else None) for trigger, name in mentions]
        return [
            (
                e.type,
                span(a, m),
                None if unit.endswith("identification") else a.role,
                e.trigger if "attached" in unit else None,
            )
            for e in record.events
            for a in e.arguments
        ]

    left, tp, fp = units(gold), 0, 0
    for one in units(guess):
        if one in left:
            left.remove(one)
            tp += 1
        else:
            fp += 1
    return tp, fp, len(left)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(records("?"), records("?")), min_size=1, max_size=3), st.randoms())
def test_counts_are_those_of_the_brute_force_matcher_whatever_the_order(pairs, shuffler: random.Random):
    def named(record, i):
        return Record(str(i), "en", TEXT, record.entities, record.relations, record.events)

    gold = [named(g, i) for i, (g, _) in enumerate(pairs)]
    guess = [named(p, i) for i, (_, p) in enumerate(pairs)]
    tasks = ["ner", "re", "ed", "eae"]
    found = counts(gold, guess, tasks=tasks)
    for unit, total in found.items():
        by_pair = [brute(g, p, unit) for g, p in zip(gold, guess, strict=True)]
        assert total == tuple(map(sum, zip(*by_pair, strict=True))), unit
    assert len(found) == 9

    def shuffled(record):
        layers = [list(layer) for layer in (record.entities, record.relations, record.events)]
        for layer in layers:
            shuffler.shuffle(layer)
        return Record(record.id, "en", TEXT, *map(tuple, layers))

    again = [shuffled(p) for p in guess]
    shuffler.shuffle(again)
    assert score(gold, again, tasks=tasks).to_json() == score(gold, guess, tasks=tasks).to_json()
    mirrored = counts(guess, gold, tasks=tasks)
    assert {unit: (tp, fn, fp) for unit, (tp, fp, fn) in mirrored.items()} == found


def test_scores_are_plain_json_with_their_definitions():
    import json

    scores = score([record(entities=(entity("a", "X", 0, 1),))], [])
    value = json.loads(json.dumps(scores.to_json()))
    assert value["units"]["ner"]["definition"] == "entity: span and type"
    assert value["units"]["ner"]["fn"] == 1
    assert value["missing"] == {"ner": ["1"]}
    assert [row[:2] for row in scores.table()] == [("ner", ""), ("ner", "X")]


def test_languages_means_and_rates_by_hand():
    german = Record("2", "de", TEXT, (entity("a", "X", 0, 2), entity("b", "Y", 3, 4)))
    gold = [record("1", entities=(entity("a", "X", 0, 2),)), german, record("3", entities=())]
    problems = [
        {"task": "ner", "kind": "unknown_class", "detail": "", "position": 0},
        {"task": "ner", "kind": "truncated", "detail": "", "position": 3},
    ]
    lost = [{"task": "ner", "type": "X", "text": "z"}]
    guess = [
        gold[0],
        Record("2", "de", TEXT, german.entities[:1], meta={"parse_problems": problems, "unresolved": lost}),
    ]
    scores = score(gold, guess)
    unit = scores.units["ner"]
    assert {k: (c.tp, c.fp, c.fn) for k, c in unit.per_language.items()} == {"de": (1, 2, 1), "en": (1, 0, 0)}
    assert unit.macro.f1 == pytest.approx((4 / 5 + 0) / 2)  # X 2 right, 1 wrong; Y 1 missed
    rates = scores.rates["ner"]
    assert (rates.answers, rates.items) == (2, 4)  # two with a place, one lost, one of an unknown class
    assert (rates.parse_error, rates.of_items(rates.unknown_class), rates.of_items(rates.hallucinated)) == (
        1 / 2,
        1 / 4,
        1 / 4,
    )
    assert scores.to_json()["rates"]["ner"]["parse_error_rate"] == 1 / 2


def test_a_trigger_answered_once_too_often_is_wrong():
    (buy,) = load_schema("\nclass Buy(Event): pass").classes.values()
    gold = Record("1", "en", "they buy", events=(EventMention("Buy", make_span("they buy", 5, 8)),))
    again = ground([buy("buy"), buy("buy")], gold.text, task="ed", id="1").record
    total = score([gold], [again]).units["ed"].total
    assert (total.tp, total.fp, total.fn) == (1, 1, 0)
