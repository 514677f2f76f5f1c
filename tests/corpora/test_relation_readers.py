"""Relation corpora (and DuEE) in a few lines each: their quirks, what is set aside, and damage by name."""

import copy
import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, RelationLink, Span, choose_reader, read_records, write_records
from kcx_jax.corpora.readers.surfaces import Places, distance
from kcx_jax.errors import KcxError

CROSSRE = {
    "doc_key": "x-1",
    "sentence": ["Ada", "of", "Rome", "met", "Bob"],
    "ner": [[4, 4, "person"], [0, 2, "person"], [2, 2, "big-city"], [2, 2, "country"]],
    "relations": [
        [0, 2, 2, 2, "part-of", "by name", False, True],
        [0, 2, 2, 2, "origin", "", True, False],
        [4, 4, 4, 4, "named", "", False, False],
    ],
}
MULTI = CROSSRE | {
    "sentence-detokenized": "Ada of Rome  met😀Bob",
    "token2charspan": [[0, 3], [4, 6], [7, 11], [13, 16], [17, 20]],
    "ner_mapping_to_source": [1, 0, 4, 5],
    "relations_mapping_to_source": [0, 1, 2],
}
SEMEVAL = (
    '7\t"The <e1>lid</e1> of the <e2>😀 jar</e2> "stuck"."\r\nComponent-Whole(e2,e1)\r\nComment: sure?\r\n\r\n'
    '8\t" A <e2> cat </e2> saw a <e1>tree</e1> ."\r\nOther\r\nComment:\r\n\r\n'
    '9\t"<e1>A</e1><e2>B</e2>"\r\n'
)
FEWREL = {
    "P9": [
        {
            "tokens": ["Ada", "LOVELACE", "left", "Rome", "."],
            "h": ["ada lovelace", "Q1", [[0, 1]]],
            "t": ["rome", "Q2", [[3]]],
        },
        {"tokens": ["Rome", "is", "Rome"], "h": ["rome", "Q2", [[0], [2]]], "t": ["is", "Q3", [[1]]]},
    ],
    "P10": [{"tokens": ["a", "b"], "h": ["x", "Q", [[0]]], "t": ["b", "Q", [[1]]]}],
}
OPENNRE = {
    "text": "Ada left 😀 Rome.",
    "h": {"name": "Ada", "id": "m.1", "pos": [0, 3]},
    "t": {"name": "Rome", "id": "m.2", "pos": [11, 15]},
    "relation": "/people/person/left",
}
TACRED = {
    "id": "t1",
    "relation": "per:city",
    "token": ["Ada", "Lovelace", "left", "Rome"],
    "subj_start": 0,
    "subj_end": 1,
    "obj_start": 3,
    "obj_end": 3,
    "subj_type": "PERSON",
    "obj_type": "CITY",
    "stanford_pos": ["NNP", "NNP", "VBD", "NNP"],
}
DUIE = {
    "text": "李白写诗。李白与杜甫：杜甫在Rome，Romeo在书。",
    "spo_list": [
        {
            "predicate": "friend",
            "subject": "李白",
            "subject_type": "P",
            "object": {"@value": "杜甫"},
            "object_type": {"@value": "P"},
        },
        {
            "predicate": "role",
            "subject": "Romeo",
            "subject_type": "P",
            "object": {"@value": "书", "inPlace": "Rome", "inDate": ""},
            "object_type": {"@value": "Work", "inPlace": "Place", "inDate": "Date"},
        },
        {"predicate": "friend", "subject": "李白", "subject_type": "P", "object": "王维", "object_type": "P"},
    ],
}
TRIPLES = {
    "text": "Ada met Bob; Bob met Eve",
    "triple_list": [["Eve", "/met/by", "Bob"], ["Ada", "/x", "Max"]],
}
DUEE = {
    "id": "d1",
    "text": "😀甲公司今天裁员，裁员100人",
    "event_list": [
        {
            "event_type": "Cut-Jobs",
            "trigger": "裁员",
            "trigger_start_index": 9,
            "class": "x",
            "arguments": [
                {"argument": "甲公司", "argument_start_index": 1, "role": "who", "alias": ["甲"]},
                {"argument": "100人", "argument_start_index": 11, "role": "how-many", "alias": []},
            ],
        }
    ],
}
DUEE_FIN = {
    "id": "f1",
    "title": "t",
    "text": "乙公司裁员。甲公司裁员100人，乙公司。",
    "event_list": [
        {
            "event_type": "Cut",
            "trigger": "裁员",
            "arguments": [
                {"role": "who", "argument": "甲公司"},
                {"role": "how", "argument": "100人"},
                {"role": "stage", "argument": "正式"},
                {"role": "by", "argument": "乙公司"},
            ],
        },
        {"event_type": "Cut", "trigger": "减员", "arguments": []},
    ],
}
DOCRED = {
    "title": "Ada",
    "sents": [["Ada", "left", "Rome", "."], ["She", "liked", "New", "York", "."]],
    "vertexSet": [
        [
            {"name": "She", "sent_id": 1, "pos": [0, 1], "type": "PER"},
            {"name": "Ada", "sent_id": 0, "pos": [0, 1], "type": "PER"},
        ],
        [{"name": "NewYork", "sent_id": 1, "pos": [2, 4], "type": "LOC"}],
        [{"name": "Rom", "sent_id": 0, "pos": [2, 3], "type": "LOC"}],
    ],
    "labels": [
        {"h": 0, "t": 1, "r": "P1", "evidence": [1]},
        {"h": 0, "t": 2, "r": "P1", "evidence": [0]},
        {"h": 0, "t": 1, "r": "P2", "evidence": []},
    ],
}
SCIERC = {
    "doc_key": "s1",
    "sentences": [["We", "use", "CRF", "."], ["CRF", "beats", "HMM"]],
    "ner": [[[2, 2, "Method"]], [[4, 4, "Method"], [6, 6, "Method"]]],
    "relations": [[], [[4, 4, 6, 6, "COMPARE"]]],
    "clusters": [[[2, 2], [4, 4]]],
    "events": [[[[1, "Use"], [2, 2, "tool"], [0, 0, "user"]]], [[[5, 5, "Win"]]]],
}
CONLL04 = {
    "tokens": ["Ada", "Lovelace", "left", "Rome"],
    "entities": [{"type": "Loc", "start": 3, "end": 4}, {"type": "Peop", "start": 0, "end": 2}],
    "relations": [{"type": "Live_In", "head": 1, "tail": 0}],
    "orig_id": 4,
}
RAMS = {
    "doc_key": "r1",
    "sentences": [["Rebels", "shelled", "the"], ["old", "town", "."]],
    "ent_spans": [[0, 0, [["evt001arg01attacker", 1.0]]]],
    "evt_triggers": [[1, 1, [["conflict.attack.n/a", 1.0]]]],
    "gold_evt_links": [[[1, 1], [0, 0], "evt001arg01attacker"], [[1, 1], [3, 4], "evt001arg03place"]],
    "split": "train",
}
CASIE = {
    "content": "😀 A gang encrypted files; files leaked.",
    "cyberevent": {
        "hopper": [
            {
                "index": "h1",
                "events": [
                    {
                        "type": "Attack",
                        "subtype": "Ransom",
                        "nugget": {"startOffset": 9, "endOffset": 18, "text": "encrypted"},
                        "argument": [
                            {
                                "startOffset": 2,
                                "endOffset": 8,
                                "text": "A gang",
                                "type": "Person",
                                "role": {"type": "Attacker"},
                            },
                            {
                                "startOffset": 20,
                                "endOffset": 25,
                                "text": "files",
                                "type": "Data",
                                "role": {"type": "Victim"},
                            },
                        ],
                    },
                    {
                        "type": "Attack",
                        "subtype": "Databreach",
                        "nugget": {"startOffset": 0, "endOffset": 6, "text": "leaked"},
                    },
                ],
            },
            {
                "index": "h2",
                "events": [
                    {
                        "type": "Leak",
                        "nugget": {"startOffset": 32, "endOffset": 38, "text": "leaked"},
                        "argument": [],
                    }
                ],
            },
        ]
    },
}
PUBTATOR = (
    "7|t|Aspirin and 😀 pain\n7|a|Skin or eye pain | from aspirin.\n"
    "7\t0\t7\tAspirin\tChemical\tD1\n7\t14\t18\tpain\tDisease\tD2\n"
    "7\t19\t35\tSkin or eye pain\tDisease\tD3|D4\tSkin pain|eye pain\n7\t43\t50\taspirin\tChemical\tD1\n"
    "7\tCID\tD1\tD4\n7\tCID\tD1\tD9\n\n"
    "8|t|Nothing\n8|a|\n8\t0\t7\tNothing\tDisease\t-1\n"
)
JSON_ROWS = {
    "crossre": CROSSRE,
    "fewrel": FEWREL,
    "tacred": TACRED,
    "duie": DUIE,
    "triple_list": TRIPLES,
    "duee": DUEE,
    "docred": DOCRED,
    "scierc": SCIERC,
    "conll04": CONLL04,
    "rams": RAMS,
    "casie": CASIE,
}
SAMPLES = {name: json.dumps(row) for name, row in JSON_ROWS.items()} | {
    "semeval2010": SEMEVAL,
    "pubtator": PUBTATOR,
}


def read(tmp_path, content, reader="auto", **options):
    path = tmp_path / "corpus.txt"
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
    # The labels are of no corpus: they are kept.
    return list(read_records(path, reader, **{"inventory": None} | options))


def changed(row, value, *keys):
    """A copy of `row` with `value` under the path `keys`; with the key taken away if `value` is ...."""
    row = copy.deepcopy(row)
    node = row
    for key in keys[:-1]:
        node = node[key]
    if value is ...:
        del node[keys[-1]]
    else:
        node[keys[-1]] = value
    return row


def mentions(record):
    return [(m.id, m.type, m.start, m.text) for m in record.entities]


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def _paths(node, path=()):
    yield path
    for key, child in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        yield from _paths(child, (*path, key))


ROWS = [*JSON_ROWS.items(), ("crossre", MULTI), ("fewrel", OPENNRE), ("duee", DUEE_FIN)]


@pytest.mark.parametrize(("reader", "row"), ROWS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_read_soundly_or_refused(reader, row, tmp_path, data):
    path = data.draw(st.sampled_from([path for path in _paths(row) if path]))
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


SURFACES = st.text("ab ", min_size=1, max_size=3)


@given(st.text("ab ", max_size=40), SURFACES, SURFACES)
def test_the_chosen_pair_is_the_nearest_of_all(text, first, second):
    places = Places(text)
    pairs = [(one, two) for one in places.of(first) for two in places.of(second)]
    assert places.pair(first, second) == min(pairs, key=lambda p: (*distance(*p), *p), default=None)
    for start, end in places.of(first):
        assert text[start:end] == first
    assert bool(places.of(first)) == (first in text)


def test_a_whole_word_goes_before_a_part_of_one_in_scripts_with_spaces():
    places = Places("Romeo, Rome; 罗马人在罗马")
    assert (places.of("Rome"), places.of("Rom")) == ([(7, 11)], [(0, 3), (7, 10)])
    assert len(places.of("罗马")) == 2


def test_a_place_apart_goes_before_one_that_overlaps_the_partner():
    places = Places("北京大学在北京，北京")
    assert places.pair("北京", "北京大学") == ((5, 7), (0, 4))
    assert places.nearest("北京", (0, 4)) == (5, 7)
    assert Places("北京大学").pair("北京", "北京大学") == ((0, 2), (0, 4))
    assert Places("北京").pair("北京", "北京") == ((0, 2), (0, 2))
