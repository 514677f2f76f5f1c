"""A file in a benchmark's form, in our own words, is read as the catalogue says: by its reader, to its classes."""

import json

import pytest

from kcx_jax.corpora import read_records
from kcx_jax.corpora.catalogue import find_benchmark

DOCRED = {
    "title": "Ada",
    "sents": [["Ada", "of", "Kent", "left", "in", "1840"]],
    "vertexSet": [
        [{"name": "Ada", "sent_id": 0, "pos": [0, 1], "type": "PER"}],
        [{"name": "Kent", "sent_id": 0, "pos": [2, 3], "type": "LOC"}],
        [{"name": "1840", "sent_id": 0, "pos": [5, 6], "type": "TIME"}],
    ],
    "labels": [{"h": 0, "t": 1, "r": "P19", "evidence": [0]}, {"h": 0, "t": 2, "r": "P570", "evidence": [0]}],
}
CMEIE = {
    "text": "感冒可引起发热。",
    "spo_list": [
        {
            "predicate": "临床表现",
            "subject": "感冒",
            "subject_type": "疾病",
            "object": {"@value": "发热"},
            "object_type": {"@value": "症状"},
        }
    ],
}
DUEE_FIN = {
    "id": "f1",
    "title": "公告",
    "text": "甲公司中标大桥项目。",
    "event_list": [
        {
            "event_type": "中标",
            "trigger": "中标",
            "arguments": [
                {"role": "中标公司", "argument": "甲公司"},
                {"role": "中标标的", "argument": "大桥项目"},
            ],
        }
    ],
}
RAMS = {
    "doc_key": "r1",
    "sentences": [["The", "board", "hired", "Ada", "."]],
    "evt_triggers": [[2, 2, [["personnel.startposition.hiring", 1.0]]]],
    "gold_evt_links": [
        [[2, 2], [1, 1], "evt129arg02placeofemployment"],
        [[2, 2], [3, 3], "evt129arg01employee"],
    ],
}
WIKIEVENTS = {
    "doc_id": "w1",
    "tokens": ["Police", "watched", "him", "and", "asked", "him", "to", "leave"],
    "text": "Police watched him and asked him to leave",
    "entity_mentions": [
        {"id": "T1", "start": 0, "end": 1, "entity_type": "ORG", "text": "Police"},
        {"id": "T2", "start": 2, "end": 3, "entity_type": "PER", "text": "him"},
    ],
    "relation_mentions": [],
    "event_mentions": [
        {
            "event_type": "Justice.InvestigateCrime.Unspecified",
            "trigger": {"start": 1, "end": 2, "text": "watched"},
            "arguments": [
                {"entity_id": "T1", "role": "Observer", "text": "Police"},
                {"entity_id": "T2", "role": "ObservedEntity", "text": "him"},
            ],
        },
        {
            "event_type": "Contact.RequestCommand.Meet",
            "trigger": {"start": 4, "end": 5, "text": "asked"},
            "arguments": [{"entity_id": "T2", "role": "Recipient", "text": "him"}],
        },
    ],
}
CASIE = {
    "content": "A gang encrypted files.",
    "cyberevent": {
        "hopper": [
            {
                "index": "h1",
                "events": [
                    {
                        "type": "Attack",
                        "subtype": "Ransom",
                        "nugget": {"startOffset": 7, "endOffset": 16, "text": "encrypted"},
                        "argument": [
                            {
                                "startOffset": 0,
                                "endOffset": 6,
                                "text": "A gang",
                                "role": {"type": "Attacker"},
                                "type": "Organization",
                            }
                        ],
                    }
                ],
            }
        ]
    },
}
BRAT = {
    "a.txt": "Kenya cut output.",
    "a.ann": "T1\tCOUNTRY 0 5\tKenya\nT2\tCause-movement-down-loss 6 9\tcut\nT3\tFinancial_attribute 10 16\toutput\n"
    "E1\tCause-movement-down-loss:T2 Supplier_Consumer:T1 Attribute:T3\n",
}


def as_json(row):
    """The files of a corpus that is one row of JSON."""
    return {"a.json": json.dumps(row, ensure_ascii=False)}


# Benchmark, its files, and the classes and roles that must be found.
SAMPLES = [
    (
        "diann",
        {"a.txt": "Not <scp><neg>without</neg> <dis>deafness</dis></scp>."},
        {"Disability", "NegationCue", "NegationScope"},
    ),
    ("boson", {"a.txt": "{{person_name:李白}}住在{{location:江油}}。"}, {"Person", "Location"}),
    (
        "ontonotes4-zh",
        {"a.txt": "李 B-PER\n白 E-PER\n在 O\n湖 B-GPE\n南 E-GPE\n"},
        {"Person", "GeopoliticalEntity"},
    ),
    *(
        (name, as_json(DOCRED), {"Person", "Location", "TemporalExpression", "BirthPlace", "DeathDate"})
        for name in ("docred", "re-docred")
    ),
    ("cmeie", as_json(CMEIE), {"Disease", "Symptom", "ClinicalManifestation"}),
    ("duee-fin", as_json(DUEE_FIN), {"WinningBid", "winner", "project"}),
    ("rams", as_json(RAMS), {"Hiring", "place_of_employment", "employee"}),
    (
        "wikievents",
        as_json(WIKIEVENTS),
        {"Organization", "Person", "CriminalInvestigation", "observer", "observed_entity"}
        | {"RequestOrCommand", "recipient"},
    ),
    ("casie", as_json(CASIE), {"RansomAttack", "Attacker"}),
    (
        "crudeoilnews",
        BRAT,
        {"Country", "FinancialAttribute", "CausedMovementDown", "supplier_consumer", "attribute"},
    ),
]


@pytest.mark.parametrize(("name", "files", "found"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_a_file_of_its_form_is_read_by_the_reader_of_the_catalogue_to_the_classes_of_its_inventory(
    tmp_path, name, files, found
):
    for file, content in files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    entry = find_benchmark(name)
    path = tmp_path if entry.reader == "brat" else tmp_path / next(iter(files))
    (record,) = read_records(path, entry.reader, entry.languages[0], inventory=entry.inventory)
    classes = {
        item.type for kind in ("entities", "relations", "events") for item in getattr(record, kind) or ()
    }
    assert classes | {argument.role for event in record.events or () for argument in event.arguments} == found
