"""Relation corpora (and DuEE): their quirks, and what is set aside."""

import gzip
import json

import pytest

from kcx_jax.corpora import Argument, RelationLink, Span, choose_reader, read_records, write_records

from .changes import changed
from .relation_samples import (
    CASIE,
    CONLL04,
    CROSSRE,
    DOCRED,
    DUEE,
    DUEE_FIN,
    DUIE,
    FEWREL,
    MULTI,
    OPENNRE,
    PUBTATOR,
    RAMS,
    SAMPLES,
    SCIERC,
    SEMEVAL,
    TACRED,
    TRIPLES,
    mentions,
    read,
)


def test_crossre_has_inclusive_ends_and_several_relations_a_pair(tmp_path):
    (record,) = read(tmp_path, CROSSRE)
    assert (record.id, record.text) == ("x-1", "Ada of Rome met Bob")
    assert mentions(record) == [
        ("e1", "person", 0, "Ada of Rome"),
        ("e2", "big_city", 7, "Rome"),
        ("e3", "country", 7, "Rome"),
        ("e0", "person", 16, "Bob"),
    ]
    assert record.relations == (
        RelationLink("part_of", "e1", "e2"),
        RelationLink("origin", "e1", "e2"),
        RelationLink("named", "e0", "e0"),
    )
    assert record.meta["source_relations"] == ["part-of", "origin", "named"]
    assert record.meta["relation_notes"] == [["by name", False, True], ["", True, False], ["", False, False]]
    assert "lost_in_projection" not in record.meta


def test_multi_crossre_keeps_the_text_as_it_was_written_and_counts_what_projection_lost(tmp_path):
    (record,) = read(tmp_path, MULTI)
    assert record.text == MULTI["sentence-detokenized"]
    assert [(m.start, m.text) for m in record.entities][-1] == (17, "Bob")
    assert record.meta["lost_in_projection"] == {"entities": 2, "relations": 0}
    assert record.meta["projected_from"] == {"entities": [1, 0, 4, 5], "relations": [0, 1, 2]}


def test_semeval2010_sets_a_sentence_aside_whose_marks_enclose_nothing(tmp_path):
    path = tmp_path / "kbp.txt"
    block = '\t" <e1>{}</e1> lives in <e2> Rome </e2> . "\nper:cities_of_residence(e1,e2)\n\n'
    path.write_text(
        "".join(f"{i}{block.format(name)}" for i, name in enumerate([" Ada ", "  ", " Bob ", ""]))
    )
    records = list(read_records(path, reader="semeval2010", inventory="kbp37"))
    for record, name in zip(records[::2], ["Ada", "Bob"], strict=True):
        assert [mention.text for mention in record.entities] == [name, "Rome"]
        assert [link.type for link in record.relations] == ["ResidenceCity"]
    for record, marked in zip(records[1::2], ["<e1>  </e1>", "<e1></e1>"], strict=True):
        assert record.entities is record.relations is None
        (kind,) = record.meta["set_aside"]
        ((sentence, label),) = record.meta["unplaced"][kind]
        assert marked in sentence
        assert label == "per:cities_of_residence(e1,e2)"


def test_semeval2010_keeps_the_pair_where_no_relation_holds(tmp_path):
    first, second, third = read(tmp_path, SEMEVAL)
    assert first.text == 'The lid of the 😀 jar "stuck".'
    assert mentions(first) == [("e1", "Entity", 4, "lid"), ("e2", "Entity", 15, "😀 jar")]
    assert first.relations == (RelationLink("Component_Whole", "e2", "e1"),)
    assert first.meta == {
        "source": "corpus.txt",
        "source_labels": {},
        "source_relations": ["Component-Whole(e2,e1)"],
        "source_id": "7",
        "pair": {"mentions": ["e1", "e2"], "label": "Component-Whole(e2,e1)"},
        "comment": "sure?",
    }
    assert (second.text, second.relations) == (" A  cat  saw a tree .", ())
    assert mentions(second) == [("e2", "Entity", 4, "cat"), ("e1", "Entity", 15, "tree")]
    assert second.meta["pair"] == {"mentions": ["e1", "e2"], "label": "Other"}
    assert (third.text, third.relations) == ("AB", None)
    assert third.meta["pair"] == {"mentions": ["e1", "e2"]}


def test_fewrel_by_relation(tmp_path):
    first, second, third = read(tmp_path, FEWREL)
    assert mentions(first) == [("e0", "Entity", 0, "Ada LOVELACE"), ("e1", "Entity", 18, "Rome")]
    assert first.relations == (RelationLink("P9", "e0", "e1"),)
    assert first.meta["pair"] == {"mentions": ["e0", "e1"], "label": "P9"}
    assert second.meta["clusters"] == [["e0", "e1"], ["e2"]]
    assert second.relations == (RelationLink("P9", "e0", "e2"),)
    assert (third.text, third.entities, third.relations) == ("a b", None, None)
    assert third.meta["set_aside"] == {"pairs whose name is not at its place": 1}
    (unplaced,) = third.meta["unplaced"].values()
    assert unplaced == [{side: FEWREL["P10"][0][side] for side in "ht"}]


def test_fewrel_line_by_line_in_characters_or_tokens(tmp_path):
    tokens = {"token": ["Ada", "left"], "h": {"pos": [0, 1]}, "t": {"pos": [1, 2]}, "relation": "NA"}
    first, second, third = read(tmp_path, [OPENNRE, tokens, changed(tokens, ..., "relation")])
    assert mentions(first) == [("e0", "Entity", 0, "Ada"), ("e1", "Entity", 11, "Rome")]
    assert first.relations == (RelationLink("_people_person_left", "e0", "e1"),)
    assert (second.relations, second.meta["pair"]) == ((), {"mentions": ["e0", "e1"], "label": "NA"})
    assert (third.relations, third.meta["pair"]) == (None, {"mentions": ["e0", "e1"]})


def test_tacred(tmp_path):
    first, second = read(tmp_path, [TACRED, changed(TACRED, "no_relation", "relation")])
    assert mentions(first) == [("e0", "PERSON", 0, "Ada Lovelace"), ("e1", "CITY", 18, "Rome")]
    assert first.relations == (RelationLink("per_city", "e0", "e1"),)
    assert (second.relations, second.meta["pair"]["label"]) == ((), "no_relation")


def test_duie_lines_surfaces_up_and_says_where_it_chose(tmp_path):
    first, second = read(tmp_path, [DUIE, {"text": "李白"}], "duie")
    assert mentions(first) == [
        ("e0", "P", 5, "李白"),
        ("e1", "P", 8, "杜甫"),
        ("e4", "Place", 14, "Rome"),
        ("e2", "P", 19, "Romeo"),
        ("e3", "Work", 25, "书"),
    ]
    assert first.relations == (
        RelationLink("friend", "e0", "e1"),
        RelationLink("role", "e2", "e3"),
        RelationLink("role_inPlace", "e2", "e4"),
    )
    assert first.meta["source_relations"] == ["friend", "role", "role.inPlace"]
    assert (first.meta["items"], first.meta["ambiguous"]) == ([0, 1, 1], [0])
    assert first.meta["set_aside"] == {"relations whose ends are not in the text": 1}
    (unplaced,) = first.meta["unplaced"].values()
    assert unplaced == [{"predicate": "friend", "subject": "李白", "object": "王维", "missing": ["王维"]}]
    assert (second.entities, second.relations) == (None, None)


def test_triples_without_types(tmp_path):
    first, second = read(tmp_path, [TRIPLES, {"text": "Ada"}])
    assert mentions(first) == [("e1", "Entity", 13, "Bob"), ("e0", "Entity", 21, "Eve")]
    assert first.relations == (RelationLink("_met_by", "e0", "e1"),)
    assert (first.meta["ambiguous"], first.meta["set_aside"]) == (
        [0],
        {"relations whose ends are not in the text": 1},
    )
    assert (second.entities, second.relations) == (None, None)


def test_duee(tmp_path):
    first, second = read(tmp_path, [DUEE, {"text": "无", "id": "2"}], "duee")
    (event,) = first.events
    assert (event.type, event.trigger) == ("Cut_Jobs", Span(9, 11, "裁员"))
    assert event.arguments == (
        Argument("who", start=1, end=4, text="甲公司"),
        Argument("how_many", start=11, end=15, text="100人"),
    )
    assert first.meta["source_events"] == [{"type": "Cut-Jobs", "roles": ["who", "how-many"]}]
    assert first.meta["aliases"] == [{"event": 0, "argument": 0, "alias": ["甲"]}]
    assert second.events is None


def test_duee_fin_has_no_offsets(tmp_path):
    (record,) = read(tmp_path, DUEE_FIN)
    (event,) = record.events
    assert event.trigger == Span(9, 11, "裁员")
    assert [(a.role, a.start, a.text) for a in event.arguments] == [
        ("who", 6, "甲公司"),
        ("how", 11, "100人"),
        ("by", 16, "乙公司"),
    ]
    assert record.meta["ambiguous"] == [[0, 2], [0]]
    assert record.meta["set_aside"] == {
        "arguments that are not in the text": 1,
        "events whose trigger is not in the text": 1,
    }
    assert list(record.meta["unplaced"].values()) == [
        [{"role": "stage", "argument": "正式"}],
        [{"event_type": "Cut", "trigger": "减员", "arguments": []}],
    ]


def test_docred_links_first_mentions_and_keeps_clusters(tmp_path):
    first, second = read(tmp_path, [DOCRED, changed(DOCRED, ..., "labels")])
    assert first.text == "Ada left Rome . She liked New York ."
    assert mentions(first) == [
        ("e0", "PER", 0, "Ada"),
        ("e1", "PER", 16, "She"),
        ("e2", "LOC", 26, "New York"),
    ]
    assert first.relations == (RelationLink("P1", "e0", "e2"), RelationLink("P2", "e0", "e2"))
    assert first.meta["clusters"] == [["e0", "e1"], ["e2"], []]
    assert (first.meta["evidence"], first.meta["sentences"]) == ([[1], []], [0, 4, 9])
    assert first.meta["set_aside"] == {
        "mentions whose name is not at its place": 1,
        "relations on entities without a mention": 1,
    }
    assert list(first.meta["unplaced"].values()) == [[DOCRED["vertexSet"][2][0]], [DOCRED["labels"][1]]]
    assert (second.relations, len(second.entities)) == (None, 3)


def test_scierc(tmp_path):
    bare = {key: SCIERC[key] for key in ("doc_key", "sentences", "ner")}
    first, second = read(tmp_path, [SCIERC, bare])
    assert first.text == "We use CRF . CRF beats HMM"
    assert mentions(first) == [
        ("e0", "Method", 7, "CRF"),
        ("e1", "Method", 13, "CRF"),
        ("e2", "Method", 23, "HMM"),
    ]
    assert first.relations == (RelationLink("COMPARE", "e1", "e2"),)
    use, win = first.events
    assert (use.type, use.trigger) == ("Use", Span(3, 6, "use"))
    assert use.arguments == (Argument("tool", entity="e0"), Argument("user", start=0, end=2, text="We"))
    assert (win.trigger, win.arguments) == (Span(17, 22, "beats"), ())
    assert first.meta["clusters"] == [[[7, 10], [13, 16]]]
    assert (second.relations, second.events) == (None, None)


def test_rams(tmp_path):
    (record,) = read(tmp_path, RAMS)
    assert record.text == "Rebels shelled the old town ."
    (event,) = record.events
    assert (event.type, event.trigger) == ("conflict_attack_n_a", Span(7, 14, "shelled"))
    assert event.arguments == (
        Argument("attacker", start=0, end=6, text="Rebels"),
        Argument("place", start=19, end=27, text="old town"),
    )
    assert (record.entities, record.meta["sentences"]) == (None, [0, 3, 6])


def test_casie_sets_aside_what_is_not_at_its_place(tmp_path):
    (record,) = read(tmp_path, json.dumps(CASIE, indent=1))
    first, second = record.events
    assert (first.type, first.trigger) == ("Attack_Ransom", Span(9, 18, "encrypted"))
    assert first.arguments == (Argument("Attacker", start=2, end=8, text="A gang"),)
    assert (second.type, second.trigger, second.arguments) == ("Leak", Span(32, 38, "leaked"), ())
    assert (record.meta["hoppers"], record.meta["argument_types"]) == ([0, 1], [["Person"], []])
    assert record.meta["set_aside"] == {
        "arguments that are not at their place": 1,
        "events whose nugget is not at its place": 1,
    }


def test_conll04(tmp_path):
    (record,) = read(tmp_path, [CONLL04])
    assert mentions(record) == [("e1", "Peop", 0, "Ada Lovelace"), ("e0", "Loc", 18, "Rome")]
    assert record.relations == (RelationLink("Live_In", "e1", "e0"),)
    assert record.meta["source_id"] == 4


def test_pubtator(tmp_path):
    first, second = read(tmp_path, PUBTATOR)
    assert first.text == "Aspirin and 😀 pain Skin or eye pain | from aspirin."
    assert mentions(first) == [
        ("e0", "Chemical", 0, "Aspirin"),
        ("e1", "Disease", 14, "pain"),
        ("e2", "Disease", 19, "Skin or eye pain"),
        ("e3", "Chemical", 43, "aspirin"),
    ]
    assert first.relations == (RelationLink("CID", "e0", "e2"),)
    assert first.meta["concepts"] == {"e0": ["D1"], "e1": ["D2"], "e2": ["D3", "D4"], "e3": ["D1"]}
    assert first.meta["composites"] == {"e2": ["Skin pain", "eye pain"]}
    assert first.meta["set_aside"] == {"relations on concepts without a mention": 1}
    assert first.meta["unplaced"] == {"relations on concepts without a mention": [["CID", "D1", "D9"]]}
    assert (second.id, second.text, second.relations) == ("8", "Nothing ", ())
    assert second.meta["concepts"] == {"e0": []}


@pytest.mark.parametrize("name", SAMPLES)
def test_each_is_recognised_packed_or_not_and_its_records_can_be_written(name, tmp_path):
    path = tmp_path / "anything.gz"
    path.write_bytes(gzip.compress(SAMPLES[name].encode()))
    assert choose_reader(path) == name
    records = list(read_records(path, inventory=None))
    write_records(records, tmp_path / "out.jsonl")
    assert list(read_records(tmp_path / "out.jsonl")) == records
    assert [r.entities for r in records] == [r.entities for r in read(tmp_path, SAMPLES[name])]
