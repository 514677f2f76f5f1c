"""Relation corpora (and DuEE) in a few lines each, for the tests of their readers."""

import json

from kcx_jax.corpora import read_records

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


def mentions(record):
    return [(m.id, m.type, m.start, m.text) for m in record.entities]
