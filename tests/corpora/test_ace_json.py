"""Sentences of words with golden mentions: CrudeOilNews, ACE 2005 as JSON."""

import json

import pytest

from kcx_jax.corpora import choose_reader, read_records
from kcx_jax.errors import KcxError


def at(start, end, text, **more):
    return {"start": start, "end": end, "text": text} | more


OIL = at(0, 1, "Oil", **{"entity-type": "Commodity"})
PRICE = at(3, 5, "$50", **{"entity-type": "Money"})
SENTENCE = {
    "sentence_id": "s1",
    "sentence": "Oil fell to $50 -LRB- again -RRB-",
    "words": ["Oil", "fell", "to", "$", "50", "(", "again", ")"],
    "golden-entity-mentions": [OIL, PRICE, at(6, 7, "again%", **{"entity-type": "Date"})],
    "golden-event-mentions": [
        {
            "event_type": "Movement-down-loss",
            "polarity": "Positive",
            "trigger": at(1, 2, "fell"),
            "arguments": [
                OIL | {"role": "Item"},
                PRICE | {"role": "Final_price"},
                at(6, 7, "again", role="When", **{"entity-type": "Date"}),
            ],
        },
        {"event_type": "Other", "trigger": at(2, 3, "into"), "arguments": []},
        {"event_type": "Other", "trigger": at(0, 0, "Oil"), "arguments": []},
    ],
}


@pytest.fixture
def read(tmp_path):
    def read(item):
        path = tmp_path / "sentences.json"
        path.write_text(json.dumps([item]), encoding="utf-8")
        assert choose_reader(path) == "ace_json"
        (record,) = read_records(path, "ace_json", "en", inventory=None)
        record.check()
        return record

    return read


def test_offsets_count_words_and_arguments_are_the_entities_at_their_place(read):
    record = read(SENTENCE)
    assert record.text == "Oil fell to $ 50 ( again )"
    assert [(m.id, m.type, m.text) for m in record.entities] == [
        ("e0", "Commodity", "Oil"),
        ("e1", "Money", "$ 50"),
    ]
    (event,) = record.events
    assert (event.type, event.trigger.text) == ("Movement_down_loss", "fell")
    assert [(a.role, a.entity, a.text) for a in event.arguments] == [
        ("Item", "e0", None),
        ("Final_price", "e1", None),
        ("When", None, "again"),
    ]
    assert record.relations is None
    assert record.meta["source_id"] == "s1"


def test_what_is_not_the_words_at_its_offsets_is_set_aside(read):
    kinds = read(SENTENCE).meta["set_aside"]
    assert kinds == {
        "entities whose words are not their text": 1,
        "triggers whose words are not their text": 2,
    }


def test_a_layer_that_is_absent_is_not_annotated(read):
    record = read({key: value for key, value in SENTENCE.items() if key != "golden-entity-mentions"})
    assert (record.entities, len(record.events)) == (None, 1)
    assert record.events[0].arguments[0].text == "Oil"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"golden-entity-mentions": [OIL | {"end": 9}]}, r"golden-entity-mentions\[0\]: \[0, 9\) is no span"),
        ({"golden-entity-mentions": [OIL | {"start": -1}]}, r"golden-entity-mentions\[0\]: \[-1, 1\) is no span"),
        ({"golden-event-mentions": [{"event_type": "A"}]}, r"golden-event-mentions\[0\].trigger: must be an object"),
        ({"words": ["Oil", 1]}, "words: must be a list of strings"),
    ],
)  # fmt: skip
def test_damage_is_named(read, change, problem):
    with pytest.raises(KcxError, match=rf"sentences.json:1: {problem}"):
        read(SENTENCE | change)
