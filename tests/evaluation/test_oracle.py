"""The ceiling: gold that its surfaces determine comes back whole; what does not come back is explained."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span, read_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.oracle import oracle

WORDS = [f"w{letter}" for letter in "abcdefgh"]


def mention(id, name, text, surface, nth=0):
    start = -1
    for _ in range(nth + 1):
        start = text.index(surface, start + 1)
    return Mention(id, name, start, start + len(surface), surface)


@settings(deadline=None)
@given(st.permutations(WORDS), st.lists(st.tuples(st.integers(0, 7), st.sampled_from("PQ")), unique=True))
def test_words_that_stand_once_are_all_found_again(words, chosen):
    text = " ".join(words)
    found = tuple(mention(f"e{i}", name, text, words[at]) for i, (at, name) in enumerate(chosen))
    links = tuple(RelationLink("R", "e0", m.id) for m in found[1:] if m.start != found[0].start)
    trigger = make_span(text, 0, 2)
    event = EventMention("Act", trigger, tuple(Argument("who", entity=m.id) for m in found))
    record = Record("1", "en", text, found, links, (event,))
    ceiling = oracle([record])
    assert not ceiling.losses
    for task, scores in ceiling.scores.items():
        assert all(unit.total.fn == unit.total.fp == 0 for unit in scores.units.values()), task


def test_a_loss_is_explained_with_its_example():
    text = "Ada met Ada"
    second = Record("7", "en", text, (mention("e0", "P", text, "Ada", nth=1),))
    ceiling = oracle([second])
    assert ceiling.scores["ner"].f1("ner") == 0
    (loss,) = ceiling.losses
    assert (loss.task, loss.count, loss.examples) == ("ner", 1, (("7", "Ada"),))
    assert loss.cause == "ambiguous: the surface also stands elsewhere"


def test_the_places_of_a_pair_that_a_record_asks_about_are_given():
    text = "Ada, Bob, Ada, Bob"
    ends = (mention("e0", "P", text, "Ada"), mention("e1", "P", text, "Bob", nth=1))
    record = Record("1", "en", text, ends, (RelationLink("Met", "e0", "e1"),))
    assert oracle([record]).scores["re"].f1("re") == 0
    assert oracle([replace(record, meta={"pair": {"mentions": ["e1", "e0"]}})]).scores["re"].f1("re") == 1
    with pytest.raises(UsageError, match=r"record '1': meta.pair must be an object"):
        oracle([replace(record, meta={"pair": ["e0", "e9"]})])


def test_losses_add_up_to_what_was_missed():
    text = "buy, buy"
    second = EventMention("Buy", make_span(text, 5, 8))
    ceiling = oracle([Record("1", "en", text, events=(second,))])
    assert sum(loss.count for loss in ceiling.losses) == ceiling.scores["ed"].units["ed"].total.fn == 1


def test_events_that_share_a_trigger_are_one_mention_that_comes_back():
    text = "buy, buy"
    first = EventMention("Buy", make_span(text, 0, 3))
    ceiling = oracle([Record("1", "en", text, events=(first, first))])
    assert ceiling.scores["ed"].f1("ed") == 1
    assert not ceiling.losses


def test_discontinuous_spans_are_counted():
    text = "left and right lung"
    lung = Mention("e0", "Part", 0, 19, text, ((0, 4), (15, 19)))
    ceiling = oracle([Record("1", "en", text, (lung,))])
    assert (ceiling.discontinuous, ceiling.scores["ner"].f1("ner")) == (1, 1.0)


def test_mentions_of_no_class_have_a_ceiling_too():
    text = "Ada met Bob"
    pair = (mention("e0", "Entity", text, "Ada"), mention("e1", "Entity", text, "Bob"))
    record = Record("1", "en", text, pair, (RelationLink("Met", "e0", "e1"),))
    assert {task: scores.f1(task) for task, scores in oracle([record]).scores.items()} == {"ner": 1, "re": 1}


def test_nothing_annotated_is_an_error():
    with pytest.raises(KcxError, match="annotated for no task"):
        oracle([Record("1", "en", "x")])


def test_the_pairs_of_semeval_come_back(shared):
    records = read_records(shared / "data" / "re" / "semeval2010_task8" / "TEST_FILE_FULL.TXT")
    assert oracle(records).scores["re"].f1("re") >= 0.999


@pytest.mark.parametrize(
    ("file", "reader", "at_least"),
    [
        ("ner/wnut17/emerging.test.annotated", "conll", 0.995),
        ("ner/masakhaner2/yor/test.txt", "conll", 0.995),
        ("ner/uner/zh_gsdsimp-ud-test.iob2", "iob2", 0.994),
        ("ner/weibo/weiboNER_2nd_conll.test", "weibo", 0.985),  # 13 % of its mentions are repeats
    ],
)
def test_real_corpora_reach_their_ceiling(shared, file, reader, at_least):
    records = read_records(shared / "data" / file, reader, "und", inventory=None)
    assert oracle(records).scores["ner"].f1("ner") >= at_least


def test_it_needs_no_jax():
    code = "import sys, kcx_jax.evaluation.oracle; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
