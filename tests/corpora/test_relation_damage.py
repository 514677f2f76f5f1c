"""Relation corpora (and DuEE) that are damaged: the place is named, whatever stands there."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcx_jax.errors import KcxError

from .changes import JSON, changed, paths
from .relation_samples import (
    CASIE,
    CONLL04,
    CROSSRE,
    DOCRED,
    DUEE,
    DUEE_FIN,
    DUIE,
    FEWREL,
    JSON_ROWS,
    MULTI,
    OPENNRE,
    RAMS,
    SAMPLES,
    SCIERC,
    TACRED,
    read,
)

DAMAGE = [
    ("crossre", changed(CROSSRE, ..., "sentence"), "sentence: must be a list, not null"),
    ("crossre", changed(CROSSRE, [1], "sentence"), "sentence: must be a list of strings"),
    ("crossre", changed(CROSSRE, [-1, 0, "x"], "ner", 0), "ner[0]: [-1, 1) is no span of 5 tokens"),
    ("crossre", changed(CROSSRE, [4, 5, "x"], "ner", 0), "ner[0]: [4, 6) is no span of 5 tokens"),
    ("crossre", changed(CROSSRE, [4, True, "x"], "ner", 0), "ner[0]: must be [first token, last token"),
    ("crossre", changed(CROSSRE, [0, 1, 2, 2, "x"], "relations", 0), "relations[0]: no item of ner"),
    ("crossre", changed(MULTI, [0, 2], "token2charspan", 0), "token2charspan[0]: 'Ada' is not at [0, 2)"),
    ("crossre", changed(MULTI, [], "token2charspan"), "token2charspan: has 0 spans for 5 tokens"),
    ("fewrel", changed(FEWREL, [], "P9", 0, "h", 2), "P9[0]: h: gives no place in the sentence"),
    ("fewrel", changed(FEWREL, [0, 2], "P9", 0, "h", 2, 0), "P9[0]: h: [0, 2] are no tokens in a row"),
    ("fewrel", changed(FEWREL, [5], "P9", 0, "t", 2, 0), "P9[0]: t: [5, 6) is no span of 5 tokens"),
    ("fewrel", changed(OPENNRE, [3, 3], "h", "pos"), "h.pos: [3, 3) is no span of a text of 16"),
    ("tacred", changed(TACRED, 4, "obj_end"), "obj_start: [3, 5) is no span of 4 tokens"),
    ("tacred", changed(TACRED, ..., "obj_type"), "obj_type: is missing"),
    ("duie", changed(DUIE, None, "spo_list"), "spo_list: must be a list, not null"),
    ("duie", changed(DUIE, {}, "spo_list", 1, "object_type"), "spo_list[1].object_type: gives no type"),
    ("duie", changed(DUIE, "朋友", "spo_list", 0, "predicate"), "spo_list[0]: the label '朋友' is no class"),
    (
        "duee",
        changed(DUEE, 8, "event_list", 0, "trigger_start_index"),
        "event_list[0].trigger_start_index: the",
    ),
    (
        "duee",
        changed(DUEE, 99, "event_list", 0, "arguments", 1, "argument_start_index"),
        "event_list[0].arguments[1].argument_start_index: [99, 103] is no span",
    ),
    ("docred", changed(DOCRED, 2, "vertexSet", 1, 0, "sent_id"), "vertexSet[1][0].sent_id: 2 is none of 2"),
    ("docred", changed(DOCRED, [4, 6], "vertexSet", 1, 0, "pos"), "vertexSet[1][0].pos: [4, 6) is no span"),
    ("docred", changed(DOCRED, -1, "labels", 0, "h"), "labels[0].h: -1 is none of 3 entities"),
    ("scierc", changed(SCIERC, [7, 7, "x"], "ner", 0, 0), "ner[0][0]: [7, 8) is no span of 7 tokens"),
    ("scierc", changed(SCIERC, [0, 0, 6, 6, "x"], "relations", 1, 0), "relations[1][0]: no item of ner"),
    ("scierc", changed(SCIERC, [], "events", 0, 0), "events[0][0][0]: must be [trigger token, type]"),
    ("scierc", changed(SCIERC, [[2, 99]], "clusters", 0), "clusters[0]: [2, 100) is no span of 7 tokens"),
    ("rams", changed(RAMS, [0, 0], "gold_evt_links", 0, 0), "gold_evt_links: one of them starts at no"),
    ("rams", changed(RAMS, [-1, 0], "gold_evt_links", 0, 1), "gold_evt_links[0]: [-1, 1) is no span of 6"),
    ("rams", changed(RAMS, [["x"], 1], "evt_triggers", 0, 2), "evt_triggers[0]: must be [first token, last"),
    ("casie", changed(CASIE, {}, "cyberevent", "hopper"), "cyberevent.hopper: must be a list"),
    ("conll04", changed(CONLL04, 5, "entities", 0, "end"), "entities[0]: [3, 5) is no span of 4 tokens"),
    ("conll04", changed(CONLL04, -1, "relations", 0, "head"), "relations[0].head: -1 is none of 2"),
]


@pytest.mark.parametrize(("reader", "row", "message"), DAMAGE)
def test_damage_to_json_is_named(reader, row, message, tmp_path):
    with pytest.raises(KcxError) as error:
        read(tmp_path, row, reader)
    assert str(error.value).startswith(f"{tmp_path / 'corpus.txt'}:1: {message}")


@pytest.mark.parametrize(
    ("reader", "old", "new", "message"),
    [
        ("semeval2010", "</e2>", "", "1: needs <e1>..</e1> and <e2>..</e2> once each"),
        ("semeval2010", "<e2>😀", "<e1>😀", "1: <e1> stands out of order"),
        ("semeval2010", "Component-Whole(e2,e1)", "Component-Whole", "2: 'Component-Whole' is no label"),
        ("semeval2010", "Comment:\r", "Remark\r", "7: expected a line `Comment: ...`"),
        ("semeval2010", '9\t"', "9 ", '9: expected `number TAB "sentence"`, got'),
        ("semeval2010", "7\t", "x\t", '1: expected `number TAB "sentence"`, got'),
        ("pubtator", "7|t|", "7\t", "1: expected `id|t|title`"),
        ("pubtator", "7\t14\t18", "7\t13\t17", "4: the text has ' pai' there, not 'pain'"),
        ("pubtator", "7\t14\t18", "7\t14\t1e9", "4: expected `id TAB start"),
        ("pubtator", "7\t14\t18", "7\t14\t999", "4: [14, 999] is no span"),
        ("pubtator", "7\tCID\tD1\tD4", "9\tCID\tD1\tD4", "7: no line of the document 7"),
        ("pubtator", "7\tCID\tD1\tD4", "7\tCID\tD1", "7: no line of the document 7"),
    ],
)
def test_damage_to_text_is_named(reader, old, new, message, tmp_path):
    with pytest.raises(KcxError) as error:
        read(tmp_path, SAMPLES[reader].replace(old, new, 1), reader)
    assert str(error.value).startswith(f"{tmp_path / 'corpus.txt'}:{message}")


ROWS = [*JSON_ROWS.items(), ("crossre", MULTI), ("fewrel", OPENNRE), ("duee", DUEE_FIN)]


@pytest.mark.parametrize(("reader", "row"), ROWS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_read_soundly_or_refused(reader, row, tmp_path, data):
    path = data.draw(st.sampled_from([path for path in paths(row) if path]))
    broken, refusal = changed(row, data.draw(JSON), *path), ""
    try:
        for record in read(tmp_path, broken, reader):
            record.check()
    except KcxError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith(f"{tmp_path / 'corpus.txt'}:1: ")


@pytest.mark.parametrize("reader", ["semeval2010", "pubtator"])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_text_anywhere_is_read_soundly_or_refused(reader, tmp_path, data):
    sample = SAMPLES[reader]
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(start + 6, len(sample))))
    noise = data.draw(st.text('\t\r\n|<>e12/ti79D-"()xO😀', max_size=4))
    refusal = ""
    try:
        for record in read(tmp_path, sample[:start] + noise + sample[end:], reader):
            record.check()
    except KcxError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith(f"{tmp_path / 'corpus.txt'}:")
