"""Each mode by hand: the figures its row of the field's table asks for, quirk included."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema, parse_answer
from kcx_jax.scoring import MODES, ancestors_of, error_counts, item_errors, score, without_loose
from kcx_jax.scoring.raw import grounded_answer
from kcx_jax.scoring.tags import tag_spans

TEXT = "Bob saw bob, Bob and Eve"
BOB, SAW, LOWER, AGAIN, EVE = (0, 3), (4, 7), (8, 11), (13, 16), (21, 24)
SPANS = (BOB, SAW, LOWER, AGAIN, EVE)


def entities(*typed, text=TEXT):
    return tuple(Mention(f"e{i}", name, *at, text[slice(*at)]) for i, (name, at) in enumerate(typed))


def ner(*typed, id="1", text=TEXT, **meta):
    return Record(id, "en", text, entities(*typed, text=text), meta=meta)


def total(gold, guess, mode, unit="ner", tasks=None):
    return score([gold], [guess], tasks, mode).units[unit].total


def counts(*arguments, **options):
    found = total(*arguments, **options)
    return found.tp, found.fp, found.fn


LOST = {"unresolved": [{"task": "ner", "type": "P", "text": "Zoe"}]}


def test_text_does_not_ask_where():
    gold, guess = ner(("P", BOB), ("P", EVE)), ner(("P", AGAIN), ("P", BOB))
    assert counts(gold, guess, "text") == (1, 1, 1)
    assert counts(ner(("P", BOB)), ner(("P", AGAIN)), "text") == (1, 0, 0)
    assert counts(ner(("P", BOB)), ner(("P", AGAIN)), "strict") == (0, 1, 1)
    assert counts(ner(("P", BOB)), ner(("P", LOWER)), "text") == (0, 1, 1)
    assert counts(ner(("P", BOB)), ner(**LOST), "text") == (0, 1, 1)


@pytest.mark.parametrize("mode", ["text", "knowcoder", "gollie", "iepile", "b2ner", "instructuie"])
@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("name", ["Bob", "Bo\u0301b"])  # which answers spell in one character less
def test_what_an_answer_says_again_counts_as_records_that_hold_it_again(mode, right, times, name):
    """Where places do not matter, it does not matter that the text has it once."""
    schema = load_schema("class P(Entity):\n    pass\nclass K(Relation):\n    pass\n")
    text, end = f"{name} knows Ada", len(name)
    pair = Mention("e0", "P", 0, end, name), Mention("e1", "P", end + 7, end + 10, "Ada")
    empty = Record("1", "en", text, (), ())
    gold = Record("1", "en", text, pair, (RelationLink("K", "e0", "e1"),)) if right else empty
    people = tuple(Mention(f"e{n}", "P", 0, end, name) for n in range(times))
    held = {
        "ner": Record("1", "en", text, people),
        "re": Record("1", "en", text, pair, (RelationLink("K", "e0", "e1"),) * times),
    }
    spelled = unicodedata.normalize("NFC", name)
    said = {"ner": f'P("{spelled}")', "re": f'K(Entity("{spelled}"), Entity("Ada"))'}
    for task, item in said.items():
        answer = parse_answer(f"[{', '.join([item] * times)}]", schema)
        found = grounded_answer(answer, gold, task)
        assert len(found.meta.get("unresolved", ())) == times - 1
        assert counts(gold, found, mode, task, [task]) == counts(gold, held[task], mode, task, [task])
        rates = score([gold], [found], [task], mode).rates[task]
        assert (rates.items, rates.hallucinated) == (times, 0)
        kinds = error_counts(item_errors(gold, found, task))
        wrong = times - 1 if right else times
        assert kinds["duplicate" if right else "spurious"] >= wrong
        assert kinds["hallucinated"] == 0


def test_triggers_and_fillers_that_are_said_again_are_in_the_text():
    schema = load_schema("class A(Event):\n    who: list[Entity]\n")
    who = Argument("who", None, *BOB, "Bob")
    gold = Record("1", "en", TEXT, events=(EventMention("A", make_span(TEXT, *SAW), (who,)),))
    triggers = grounded_answer(parse_answer('[A("saw"), A("saw"), A("saw")]', schema), gold, "ed")
    found = {
        mode: counts(gold, triggers, mode, "ed", ["ed"]) for mode in ("strict", "knowcoder", "text", "b2ner")
    }
    assert found == {"strict": (1, 2, 0), "knowcoder": (3, 0, -2), "text": (1, 2, 0), "b2ner": (1, 0, 0)}
    twice = grounded_answer(parse_answer('[A("saw", who=["Eve", "Eve"])]', schema), gold, "eae")
    assert score([gold], [twice], ["eae"]).rates["eae"].hallucinated == 0
    assert error_counts(item_errors(gold, twice, "eae"))["hallucinated"] == 0


@pytest.mark.parametrize("mode", ["strict", "text", "knowcoder", "gollie", "b2ner"])
def test_what_only_the_ladder_found_is_not_there_again_without_it(mode):
    schema = load_schema("class P(Entity):\n    pass\n")
    gold = Record("1", "en", "Ada slept", (Mention("e0", "P", 0, 3, "Ada"),))
    answer = parse_answer('[P("ADA"), P("ADA"), P("Eve")]', schema)
    loosely, strictly = (grounded_answer(answer, gold, "ner", ladder=ladder) for ladder in (True, False))
    assert len(loosely.entities) == 1
    found = [score([gold], [record], ["ner"], mode) for record in (without_loose(loosely), strictly)]
    assert found[0].units["ner"].total == found[1].units["ner"].total
    assert found[0].rates["ner"].hallucinated == found[1].rates["ner"].hallucinated == 3


def test_knowcoder_never_uses_gold_up():
    found = total(ner(("P", BOB)), ner(*[("P", BOB)] * 3), "knowcoder")
    assert (found.precision, found.recall, found.f1) == (1.0, 3.0, 1.5)
    assert counts(ner(("P", BOB)), ner(**LOST), "knowcoder") == (0, 0, 1)  # what is not there is dropped


def test_gollie_folds_entities_only_and_drops_what_is_not_there():
    assert counts(ner(("P", BOB)), ner(("P", LOWER), **LOST), "gollie") == (1, 0, 0)
    assert counts(ner(("P", BOB)), ner(("P", BOB), ("P", AGAIN)), "gollie") == (1, 1, 0)
    links = (RelationLink("Knows", "e0", "e1"),)
    gold = Record("1", "en", TEXT, entities(("P", BOB), ("P", EVE)), links)
    guess = Record("1", "en", TEXT, entities(("P", LOWER), ("P", EVE)), links)
    assert counts(gold, guess, "gollie", "re") == (0, 1, 1)


def event(trigger, role, at):
    argument = Argument(role, None, *at, TEXT[slice(*at)])
    return Record("1", "en", TEXT, events=(EventMention("Meet", make_span(TEXT, *trigger), (argument,)),))


def test_gollies_arguments_hang_on_their_trigger():
    gold, guess = event(SAW, "who", BOB), event(EVE, "who", BOB)
    assert counts(gold, guess, "gollie", "eae") == (0, 1, 1)
    assert counts(gold, guess, "text", "eae") == (1, 0, 0)
    assert counts(gold, event(SAW, "who", AGAIN), "gollie", "eae") == (1, 0, 0)
    assert counts(gold, event(SAW, "whom", BOB), "text", "eae") == (0, 1, 1)


def test_iepile_rounds_before_the_f1():
    found = total(ner(("P", BOB), ("P", EVE), ("P", SAW)), ner(("P", BOB)), "iepile")
    assert (found.precision, found.recall) == (1.0, 0.33)
    assert found.f1 == pytest.approx(2 * 0.33 / 1.33)  # and not 0.5


def test_b2ner_counts_sets_of_normalised_strings():
    text = 'A "B . C" and b.c'
    gold, guess = ner(("P", (3, 8)), text=text), ner(("p", (14, 17)), ("P", (3, 8)), text=text)
    assert counts(gold, guess, "text") == (1, 1, 0)
    found = score([gold], [ner(("P", (14, 17)), ("P", (2, 9)), text=text)], mode="b2ner").units["ner"].total
    assert (found.tp, found.fp, found.fn) == (1, 0, 0)


@pytest.mark.parametrize("mode", ["b2ner", "instructuie"])
def test_labels_are_folded_as_texts_are(mode):
    assert counts(ner(("P", BOB), ("p", LOWER)), ner(("p", AGAIN)), mode) == (1, 0, 0)
    link = RelationLink("Is In", "e0", "e1")
    gold = Record("1", "en", TEXT, entities(("P", BOB), ("P", EVE)), (link,))
    guess = Record("1", "en", TEXT, gold.entities, (RelationLink("is in", "e0", "e1"),))
    assert counts(gold, guess, mode, "re") == (1, 0, 0)
    for unit in ("ed", "eae"):
        assert counts(event(SAW, "Who", BOB), event(SAW, "who", BOB), mode, unit) == (1, 0, 0)
    lost = score([ner(("P", BOB))], [ner(("p", BOB), **LOST)], mode=mode).units["ner"]
    assert {name: (each.tp, each.fp) for name, each in lost.per_type.items()} == {"p": (1, 1)}


def test_instructuie_rewards_silence():
    empty = ner()
    assert counts(empty, empty, "instructuie") == (1, 0, 0)
    assert counts(empty, empty, "b2ner") == (0, 0, 0)
    assert counts(empty, ner(**LOST), "instructuie") == (0, 1, 0)
    assert counts(ner(("P", BOB)), ner(("P", LOWER), ("P", AGAIN)), "instructuie") == (1, 0, 0)


def test_multiconer_is_the_mean_over_types():
    gold, guess = ner(("P", BOB), ("P", EVE), ("Q", SAW)), ner(("P", BOB), ("P", EVE), ("R", SAW))
    found = total(gold, guess, "multiconer")
    assert found.f1 == pytest.approx(1 / 3)  # P 1, Q 0, R 0; micro is 2/3
    assert total(gold, guess, "seqeval").f1 == total(gold, guess, "conll").f1 == pytest.approx(2 / 3)
    assert counts(ner(("P", BOB)), ner(("P", BOB), ("P", BOB), **LOST), "seqeval") == (1, 0, 0)


def test_uie_scores_offsets_and_strings():
    gold, guess = ner(("P", BOB), ("P", EVE)), ner(("P", AGAIN), ("P", EVE))
    assert counts(gold, guess, "uie") == (1, 1, 1)
    assert counts(gold, guess, "uie", "ner_string") == (2, 0, 0)
    assert counts(event(SAW, "who", BOB), event(SAW, "who", AGAIN), "uie", "eae") == (0, 1, 1)
    assert counts(event(SAW, "who", BOB), event(SAW, "who", AGAIN), "uie", "eae_string") == (1, 0, 0)


def test_uie_has_three_strategies():
    gold, guess = ner(("P", BOB), ("P", EVE)), ner(("P", BOB), ("P", BOB), ("P", AGAIN))
    found = {mode: counts(gold, guess, mode, "ner_string") for mode in ("uie", "uie_set", "uie_multimatch")}
    assert found == {"uie": (1, 2, 1), "uie_set": (1, 0, 1), "uie_multimatch": (3, 0, -1)}
    assert counts(gold, guess, "uie_multimatch") == (2, 1, 0)


def test_knowcoder_accepts_ancestors_where_they_are_given(tmp_path):
    from kcx_jax.schema import load_schema

    classes = load_schema("class Being(Entity):\n    pass\nclass P(Being):\n    pass\n")
    file = tmp_path / "more.json"
    file.write_text('{"Being": ["Thing"], "Thing": ["Being"]}')
    above = ancestors_of(classes, file)
    assert above == {"P": {"Being", "Thing"}, "Being": {"Thing"}, "Thing": {"Being"}}
    gold = [ner(("P", BOB), ("P", EVE))]

    def found(*typed, **options):
        total = score(gold, [ner(*typed)], mode="knowcoder", **options).units["ner"].total
        return total.tp, total.fp, total.fn

    assert found(("Thing", BOB), ("Being", EVE)) == (0, 2, 2)
    assert found(("Thing", BOB), ("Being", EVE), ancestors=above) == (2, 0, 0)
    assert found(("Q", BOB), ancestors=above) == (0, 1, 2)
    below = score([ner(("Thing", BOB))], [ner(("P", BOB))], mode="knowcoder", ancestors=above)
    assert below.f1("ner") == 0  # a descendant is none
    with pytest.raises(UsageError, match="'strict' accepts no ancestors"):
        score(gold, gold, ancestors=above)
    file.write_text('{"P": "Being"}')
    with pytest.raises(UsageError, match=r"more\.json: P: must be a list of class names"):
        ancestors_of(None, file)


def test_nervaluate_has_four_schemes_in_halves_of_items():
    gold, guess = ner(("P", BOB), ("P", LOWER), ("P", EVE)), ner(("Q", BOB), ("P", (8, 16)), ("Q", (20, 24)))
    found = {s: counts(gold, guess, f"nervaluate_{s}") for s in ("strict", "exact", "partial", "type")}
    assert found == {"strict": (0, 6, 6), "exact": (2, 4, 4), "partial": (4, 2, 2), "type": (2, 4, 4)}
    # A wrong prediction that comes first takes the span from the right one.
    late = ner(("P", (6, 9)), ("P", LOWER))
    assert counts(ner(("P", LOWER)), late, "nervaluate_exact") == (0, 4, 2)


sequences = st.lists(st.sampled_from(["O", "B-P", "I-P", "B-Q", "I-Q"]), min_size=1, max_size=12)


def of_tags(tags):
    text = "x" * len(tags)
    return ner(*((kind, (start, end)) for kind, start, end in tag_spans(tags)), text=text)


@settings(deadline=None)  # the first example imports the library
@given(sequences, st.randoms())
def test_nervaluate_itself_agrees(tags, rng):
    evaluator = pytest.importorskip("nervaluate").Evaluator
    guess = [rng.choice([tag, "O", "B-P", "I-P", "B-Q"]) for tag in tags]
    theirs = evaluator([tags], [guess], tags=["P", "Q"], loader="list").evaluate()["overall"]
    for scheme, name in (
        ("strict", "strict"),
        ("exact", "exact"),
        ("partial", "partial"),
        ("type", "ent_type"),
    ):
        ours = total(of_tags(tags), of_tags(guess), f"nervaluate_{scheme}")
        figures = theirs[name].precision, theirs[name].recall, theirs[name].f1
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(figures, abs=1e-12), scheme


@settings(deadline=None)  # the first example imports the library
@given(sequences, st.randoms(), st.booleans())
def test_seqeval_itself_agrees(tags, rng, strictly):
    metrics = pytest.importorskip("seqeval.metrics")
    from seqeval.scheme import IOB2

    guess = [rng.choice([tag, "O", "B-P", "I-P", "B-Q"]) for tag in tags]
    options = {"mode": "strict", "scheme": IOB2} if strictly else {}
    theirs = metrics.f1_score([tags], [guess], zero_division=0, **options)
    spans = [
        ner(*((k, (a, b)) for k, a, b in tag_spans(side, strictly)), text="x" * len(tags))
        for side in (tags, guess)
    ]
    assert total(*spans, "seqeval").f1 == pytest.approx(theirs, abs=1e-12)


def pair(name, head="e0", tail="e1", id="1"):
    return Record(id, "en", TEXT, entities(("E", BOB), ("E", EVE)), (RelationLink(name, head, tail),))


def test_semeval_is_directional_leaves_other_out_and_divides_by_nine():
    assert total(pair("CauseEffect"), pair("CauseEffect"), "semeval2010", "re").f1 == pytest.approx(1 / 9)
    assert total(pair("CauseEffect"), pair("CauseEffect", "e1", "e0"), "semeval2010", "re").f1 == 0
    assert counts(pair("Other"), pair("Other"), "semeval2010", "re") == (0, 0, 0)
    assert counts(pair("Other"), pair("CauseEffect"), "semeval2010", "re") == (0, 1, 0)
    many = [pair(f"R{i}", id=str(i)) for i in range(10)]
    with pytest.raises(KcxError, match="nine relations"):
        score(many, many, mode="semeval2010")


def test_a_mode_says_what_it_does_not_count():
    with pytest.raises(UsageError, match=r"unknown mode 'loose'; known: strict, text"):
        score([ner()], [ner()], mode="loose")
    with pytest.raises(UsageError, match="does not count the task 're'; it counts: ner"):
        score([ner()], [ner()], ["re"], "seqeval")
    with pytest.raises(KcxError, match="'semeval2010' counts re; gold has ner"):
        score([ner()], [ner()], mode="semeval2010")


typed = st.lists(st.tuples(st.sampled_from("PQ"), st.sampled_from(SPANS)), max_size=6)


@given(typed, typed)
def test_what_gold_wants_is_what_every_mode_divides_by(gold, guess):
    """tp + fn is the number of gold units and tp + fp of predicted ones: by hand, as multisets or sets."""
    for mode in set(MODES) - {"semeval2010", "instructuie"}:
        parts = 2 if mode.startswith("nervaluate") else 1
        found = total(ner(*gold), ner(*guess), mode)
        as_set = mode in ("b2ner", "multiconer", "seqeval", "conll", "uie_set")
        key = (lambda t: (t[0], TEXT[slice(*t[1])].lower())) if mode == "b2ner" else (lambda t: t)
        sizes = [parts * len({key(t) for t in side} if as_set else side) for side in (gold, guess)]
        assert [found.tp + found.fn, found.tp + found.fp] == sizes, mode


def test_broken_tags_are_read_in_two_ways():
    whole = ["B-P", "I-P", "O", "B-Q", "B-Q", "I-Q"]
    assert tag_spans(whole) == tag_spans(whole, strict=True) == [("P", 0, 2), ("Q", 3, 4), ("Q", 4, 6)]
    broken = ["I-P", "I-P", "B-Q", "I-P", "I-P"]
    assert tag_spans(broken) == [("P", 0, 2), ("Q", 2, 3), ("P", 3, 5)]
    assert tag_spans(broken, strict=True) == [("Q", 2, 3)]
    for wrong in ("X-P", "B-", "", 3, None):
        with pytest.raises(KcxError, match=r"tag 1: .* is no IOB2 tag"):
            tag_spans(["O", wrong])
