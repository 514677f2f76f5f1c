"""Event corpora in a few lines each: their quirks, what is set aside, and every kind of damage by name."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, RelationLink, Span, choose_reader, read_records, write_records
from kcx_jax.corpora.readers.events import surface_span
from kcx_jax.errors import KcxError

from .changes import JSON, changed, paths

FEWFC = {
    "id": "a1",
    "content": "甲公司减持乙公司😀股份3%",
    "events": [
        {
            "type": "减持",
            "mentions": [
                {"word": "3%", "span": [11, 13], "role": "title"},
                {"word": "减持", "span": [3, 5], "role": "trigger"},
                {"word": "甲公司", "span": [0, 3], "role": "share-org"},
            ],
        },
        {"type": "投资", "mentions": [{"word": "减持", "span": [3, 5], "role": "trigger"}]},
    ],
}
PHEE = {
    "id": "p1",
    "context": "Rash and fever may follow drug A and drug B.",
    "is_mult_event": False,
    "annotations": [
        {
            "events": [
                {
                    "event_id": "E1",
                    "event_type": "Adverse_event",
                    "Trigger": {"text": [["follow"]], "start": [[19]], "entity_id": ["T1"]},
                    "Effect": {"text": [["Rash"], ["fever"]], "start": [[0], [9]], "entity_id": ["T2", "T3"]},
                    "Treatment": {
                        "text": [["drug B", "A"]],
                        "start": [[37, 31]],
                        "entity_id": ["T4"],
                        "Drug": {"text": [["drug", "B"]], "start": [[26, 42]], "entity_id": ["T5"]},
                        "Combination": [{"event_id": "E2", "event_type": "Combination"}],
                    },
                    "Speculated": {"text": [["may"]], "start": [[15]], "entity_id": ["T6"], "value": True},
                }
            ]
        }
    ],
}
ONEIE = {
    "doc_id": "d",
    "wnd_id": "d-1",
    "sentence": "Ada's  team won.",
    "tokens": ["Ada", "'s", "team", "won", "."],
    "pieces": ["Ada", "'", "##s", "team", "won", "."],
    "entity_mentions": [
        {"id": "m1", "start": 0, "end": 3, "text": "Ada 's team"},
        {"id": "m2", "start": 0, "end": 1, "text": "Ada"},
    ],
    "event_mentions": [
        {
            "id": "v",
            "event_type": "Finish:Win",
            "trigger": {"start": 3, "end": 4, "text": "won"},
            "arguments": [{"entity_id": "m1", "text": "Ada's  team", "role": "from"}],
        }
    ],
}
TEXT = "Ada gave Bob\r\na book 😀 and a pen.\n"
ANN = (
    "T1\tPerson 0 3\tAda\n"
    "T2\tGiving 4 8\tgave\n"
    "T3\tPerson 9 12\tBob\n"
    "T4\tSome-Thing 16 20;29 32\tbook pen\n"
    "T5\tTelling 23 26\tand\n"
    "E1\tGiving:T2 giver:T1 thing1:T4 thing2:T2 \n"
    "E2\tTelling:T5 what:E1 who:T1\n"
    "R1\tKnows Arg1:T1 Arg2:T3\t\n"
    "R2\tCause Arg1:E1 Arg2:T3\n"
    "R3\tCause Arg1:T3 Arg2:T2\n"
    "A1\tNegated E1\n"
    "M1\tNegated E2\n"
    "N1\tReference T1 Wiki:1\tAda\n"
    "*\tEquiv T1 T3\n"
    "#1\tAnnotatorNotes T1\tsure\n"
)


def read(tmp_path, row, reader="auto", **options):
    path = tmp_path / "corpus.json"
    path.write_bytes(b"\r\n".join(json.dumps(r).encode() for r in (row if isinstance(row, list) else [row])))
    return list(read_records(path, reader, **options))


def brat(folder, ann, text=TEXT, name="doc"):
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_bytes(ann.encode())
    return folder


def fillers(event):
    return [(a.role, a.text, a.start, a.spans) for a in event.arguments]


def test_fewfc(tmp_path):
    (record,) = read(tmp_path, FEWFC, language="zh")
    assert (record.id, record.language, record.entities, record.relations) == ("a1", "zh", None, None)
    assert [(e.type, e.trigger) for e in record.events] == [
        ("ShareReduction", Span(3, 5, "减持")),
        ("Investment", Span(3, 5, "减持")),
    ]
    assert fillers(record.events[0]) == [("title", "3%", 11, ()), ("share_org", "甲公司", 0, ())]
    assert record.meta["source_events"] == [
        {"type": "减持", "roles": ["title", "share-org"]},
        {"type": "投资", "roles": []},
    ]
    (empty,) = read(tmp_path, changed(FEWFC, [], "events"))
    assert empty.events == ()


def test_phee_with_parts_roles_within_roles_and_what_is_set_aside(tmp_path):
    (record,) = read(tmp_path, PHEE)
    (event,) = record.events
    assert (record.id, event.type, event.trigger) == ("p1", "AdverseEvent", Span(19, 25, "follow"))
    assert fillers(event) == [
        ("Effect", "Rash", 0, ()),
        ("Effect", "fever", 9, ()),
        ("Treatment", "A and drug B", 31, ((31, 32), (37, 43))),
        ("Treatment__Drug", "drug A and drug B", 26, ((26, 30), (42, 43))),
    ]
    assert record.meta["source_events"][0]["roles"] == ["Effect", "Effect", "Treatment", "Treatment.Drug"]
    assert record.meta["set_aside"] == {"Combination": 1, "Speculated": 1}


def test_oneie_with_untyped_candidates(tmp_path):
    (record,) = read(tmp_path, ONEIE)
    (event,) = record.events
    assert (record.id, record.text, record.entities, record.relations) == (
        "d-1",
        ONEIE["sentence"],
        None,
        None,
    )
    assert (event.type, event.trigger) == ("Finish_Win", Span(12, 15, "won"))
    assert fillers(event) == [("from", "Ada's  team", 0, ())]
    assert record.meta["set_aside"] == {"untyped entity mentions": 1}
    assert record.meta["source_events"] == [{"type": "Finish:Win", "roles": ["from"]}]
    (joined,) = read(tmp_path, changed(ONEIE, ..., "sentence"))
    assert (joined.text, joined.events[0].trigger) == ("Ada 's team won .", Span(12, 15, "won"))
    assert joined.events[0].arguments == (Argument("from", start=0, end=11, text="Ada 's team"),)


def test_oneie_with_types_has_entities_and_relations(tmp_path):
    row = changed(ONEIE, "PER", "entity_mentions", 1, "entity_type")
    row["entity_mentions"][0]["entity_type"] = "ORG"
    ends = [{"entity_id": "m2", "role": "Arg-2"}, {"entity_id": "m1", "role": "Arg-1"}]
    row["relation_mentions"] = [{"id": "r", "relation_type": "ORG-AFF", "arguments": ends}]
    bare = {"sent_id": "d-2", "tokens": ["Hi"], "entity_mentions": [], "event_mentions": []}
    first, second = read(tmp_path, [row, bare], "oneie")
    assert [(m.id, m.type, m.text) for m in first.entities] == [
        ("m1", "ORG", "Ada's  team"),
        ("m2", "PER", "Ada"),
    ]
    assert first.relations == (RelationLink("ORG_AFF", "m1", "m2"),)
    assert first.events[0].arguments == (Argument("from", entity="m1"),)
    assert first.meta["source_labels"] == {"m1": "ORG", "m2": "PER"}
    assert first.meta["source_relations"] == ["ORG-AFF"]
    assert "set_aside" not in first.meta
    assert (second.id, second.entities, second.relations, second.events) == ("d-2", (), None, ())


def test_oneie_of_documents_as_wikievents_has_them(tmp_path):
    row = changed(changed(ONEIE, "Ada's team\nwon.", "text"), ..., "sentence")
    (record,) = read(tmp_path, changed(row, ..., "wnd_id"))
    assert (record.id, record.text) == ("d", "Ada's team\nwon.")
    assert record.events[0].trigger == Span(11, 14, "won")


def test_brat(tmp_path):
    (record,) = read_records(brat(tmp_path, ANN))
    assert (record.id, record.text) == ("doc", TEXT)
    assert [(m.id, m.type, m.text, m.spans) for m in record.entities] == [
        ("T1", "Person", "Ada", ()),
        ("T3", "Person", "Bob", ()),
        ("T4", "Some_Thing", "book 😀 and a pen", ((16, 20), (29, 32))),
    ]
    assert record.relations == (RelationLink("Knows", "T1", "T3"),)
    giving, telling = record.events
    assert giving.trigger == Span(4, 8, "gave")
    assert giving.arguments == (
        Argument("giver", entity="T1"),
        Argument("thing", entity="T4"),
        Argument("thing", start=4, end=8, text="gave"),
    )
    assert telling.arguments == (Argument("who", entity="T1"),)
    assert record.meta == {
        "source": "doc.txt",
        "source_events": [
            {"type": "Giving", "roles": ["giver", "thing", "thing"]},
            {"type": "Telling", "roles": ["who"]},
        ],
        "source_labels": {"T1": "Person", "T3": "Person", "T4": "Some-Thing"},
        "source_relations": ["Knows"],
        "set_aside": {
            "attributes": 2,
            "normalisations": 1,
            "equivalences": 1,
            "notes": 1,
            "events as arguments": 1,
            "relations on events": 2,
        },
    }


def test_brat_layers_are_those_of_the_whole_folder(tmp_path):
    brat(tmp_path, "T1\tPerson 0 3\tAda\n", name="b")
    for file in ("b.txt", "b.ann"):
        (record,) = read_records(tmp_path / file)
        assert (record.relations, record.events) == (None, None)
        assert (len(record.entities), record.meta) == (
            1,
            {"source": "b.txt", "source_labels": {"T1": "Person"}},
        )
    brat(tmp_path, ANN.replace("\n", "\r\n"), name="a")
    (tmp_path / "annotation.conf").write_text("[entities]\n")
    first, second = read_records(tmp_path)
    assert (first.id, second.id) == ("a", "b")
    assert len(first.events) == 2
    assert (second.relations, second.events) == ((), ())


def test_what_is_read_can_be_written_and_read_back(tmp_path):
    brat(tmp_path, ANN)
    records = [record for row in (FEWFC, PHEE, ONEIE) for record in read(tmp_path, row)]
    records += read_records(tmp_path / "doc.txt")
    write_records(records, tmp_path / "all.jsonl")
    assert list(read_records(tmp_path / "all.jsonl")) == records


PARTS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=4)


@given(PARTS, st.randoms(use_true_random=False))
def test_parts_in_any_order_make_one_span(gaps, random):
    parts, position = [], 0
    for gap, length in gaps:
        parts.append((position + gap, position + gap + length))
        position += gap + length
    text = "".join(chr(0x1F600 + i) for i in range(position))
    shuffled = random.sample(parts, len(parts))
    span = surface_span(text, tuple(shuffled), " ".join(text[a:b] for a, b in shuffled), "x")
    assert (span.start, span.end, span.text) == (parts[0][0], parts[-1][1], text[parts[0][0] :])
    assert span.spans == (tuple(parts) if len(parts) > 1 else ())


MENTION = ("events", 0, "mentions")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed(FEWFC, ..., "id"), "id: is missing"),
        (changed(FEWFC, ..., "events"), "events: is missing"),
        (changed(FEWFC, {}, "events"), "events: must be a list"),
        (changed(FEWFC, 1, "event"), "event: unknown key; did you mean 'events'"),
        (
            changed(FEWFC, "转账", "events", 0, "type"),
            "events[0]: inventory 'fewfc' has no class for the event label '转账'",
        ),
        (
            changed(FEWFC, "角色", *MENTION, 0, "role"),
            "events[0]: inventory 'fewfc': the event ShareReduction has no role '角色'",
        ),
        (changed(FEWFC, [3, 6], *MENTION, 1, "span"), "events[0].mentions[1].span: the text has"),
        (changed(FEWFC, [-2, 0], *MENTION, 0, "span"), "events[0].mentions[0].span: [-2, 0] is no"),
        (changed(FEWFC, [11, 99], *MENTION, 0, "span"), "events[0].mentions[0].span: [11, 99] is no"),
        (changed(FEWFC, [1, True], *MENTION, 0, "span"), "events[0].mentions[0].span: must be [start"),
        (changed(FEWFC, "sub", *MENTION, 1, "role"), "events[0].mentions: 0 mentions have the role"),
        (changed(FEWFC, "trigger", *MENTION, 0, "role"), "events[0].mentions: 2 mentions have the"),
    ],
)
def test_damage_to_fewfc_is_named(row, message, tmp_path):
    with pytest.raises(KcxError) as error:
        read(tmp_path, [FEWFC, row], "fewfc")
    assert str(error.value).startswith(f"{tmp_path / 'corpus.json'}:2: {message}")


EVENT = ("annotations", 0, "events", 0)
NAMED = "annotations[0].events[0]"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed(PHEE, ..., "annotations"), "annotations: is missing"),
        (changed(PHEE, [7], "annotations"), "annotations[0]: must be an object, not a number"),
        (changed(PHEE, 0, "annotations", 0, "notes"), "annotations[0].notes: unknown key"),
        (changed(PHEE, ..., *EVENT, "Trigger"), f"{NAMED}.Trigger: must be an object, not null"),
        (changed(PHEE, ..., *EVENT, "event_type"), f"{NAMED}.event_type: is missing"),
        (changed(PHEE, "Rash", *EVENT, "Effect"), f"{NAMED}.Effect: must be an object, not a string"),
        (changed(PHEE, [[18]], *EVENT, "Trigger", "start"), f"{NAMED}.Trigger: the text has"),
        (changed(PHEE, [[-6]], *EVENT, "Trigger", "start"), f"{NAMED}.Trigger: [-6, 0] is no span"),
        (
            changed(PHEE, [["", "x"]], *EVENT, "Trigger", "text"),
            f"{NAMED}.Trigger.start: must have one offset",
        ),
        (changed(PHEE, [19], *EVENT, "Trigger", "start"), f"{NAMED}.Trigger.start: must be a list of lists"),
        (
            changed(PHEE, [[None]], *EVENT, "Trigger", "text"),
            f"{NAMED}.Trigger.text: must be a list of lists",
        ),
        (
            changed(PHEE, [[0], [0]], *EVENT, "Trigger", "start"),
            f"{NAMED}.Trigger.start: must have one offset",
        ),
        (
            changed(PHEE, {"text": [], "start": []}, *EVENT, "Trigger"),
            f"{NAMED}.Trigger: 0 triggers, not one",
        ),
        (
            changed(PHEE, {"text": [[]], "start": [[]]}, *EVENT, "Trigger"),
            f"{NAMED}.Trigger: nothing is no span",
        ),
        (
            changed(PHEE, 3, *EVENT, "Treatment", "Combination"),
            f"{NAMED}.Treatment.Combination: must be a list",
        ),
        (changed(PHEE, {}, *EVENT, "Treatment", "Drug", "Dose"), f"{NAMED}.Treatment.Drug.Dose: unknown key"),
        (
            changed(PHEE, [[37, 38]], *EVENT, "Treatment", "start"),
            f"{NAMED}.Treatment: [37, 43], [38, 39] is no",
        ),
    ],
)
def test_damage_to_phee_is_named(row, message, tmp_path):
    with pytest.raises(KcxError) as error:
        read(tmp_path, [PHEE, row], "phee")
    assert str(error.value).startswith(f"{tmp_path / 'corpus.json'}:2: {message}")


TYPED = changed(ONEIE, "PER", "entity_mentions", 1, "entity_type")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed(changed(ONEIE, ..., "wnd_id"), ..., "doc_id"), "sent_id: is missing"),
        (changed(ONEIE, "Ada's", "tokens"), "tokens: must be a list of strings"),
        (changed(ONEIE, ["Ada", "", "'s", "team", "won"], "tokens"), "tokens: must be a list of strings"),
        (
            changed(ONEIE, "Adas team won.", "sentence"),
            'tokens[1]: the token "\'s" does not stand in the text',
        ),
        (changed(ONEIE, ..., "event_mentions"), "event_mentions: is missing"),
        (
            changed(ONEIE, None, "event_mentions", 0, "trigger"),
            "event_mentions[0].trigger: must be an object",
        ),
        (
            changed(ONEIE, 5, "event_mentions", 0, "trigger", "start"),
            "event_mentions[0].trigger.start: [5, 4)",
        ),
        (
            changed(ONEIE, -1, "entity_mentions", 0, "start"),
            "entity_mentions[0].start: [-1, 3) is no span of 5",
        ),
        (changed(ONEIE, 6, "entity_mentions", 0, "end"), "entity_mentions[0].start: [0, 6) is no span of 5"),
        (changed(ONEIE, 2, "entity_mentions", 0, "end"), 'entity_mentions[0].text: is "Ada \'s team"'),
        (changed(ONEIE, "m1", "entity_mentions", 1, "id"), "entity_mentions[1].id: 'm1' is used twice"),
        (
            changed(ONEIE, "m9", "event_mentions", 0, "arguments", 0, "entity_id"),
            "event_mentions[0].arguments[0].entity_id: no entity mention has the id 'm9'",
        ),
        (
            changed(ONEIE, [{}], "relation_mentions"),
            "relation_mentions[0]: links entity mentions, but none has",
        ),
        (TYPED, "entity_mentions[0].entity_type: is missing"),
        (
            changed(
                changed(TYPED, "ORG", "entity_mentions", 0, "entity_type"),
                [{"relation_type": "R", "arguments": [{"entity_id": "m1", "role": "Arg-1"}]}],
                "relation_mentions",
            ),
            "relation_mentions[0].arguments: must be one `Arg-1` and one `Arg-2`",
        ),
    ],
)
def test_damage_to_oneie_is_named(row, message, tmp_path):
    with pytest.raises(KcxError) as error:
        read(tmp_path, row, "oneie")
    assert str(error.value).startswith(f"{tmp_path / 'corpus.json'}:1: {message}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("T6 Person 0 3 Ada", "'T6 Person 0 3 Ada' is no line of brat"),
        ("\tPerson 0 3", "'\\tPerson 0 3' is no line of brat"),
        ("X1\tPerson 0 3\tAda", "'X1\\tPerson 0 3\\tAda' is no line of brat"),
        ("T1\tPerson 0 3\tAda", "the id 'T1' is used twice"),
        ("E1\tGiving:T2", "the id 'E1' is used twice"),
        ("R1\tKnows Arg1:T1 Arg2:T3", "the id 'R1' is used twice"),
        ("T6\tPerson 0 3", "expected `id TAB type start end TAB text`, got 'Person 0 3'"),
        ("T6\tPerson 0 -3\tAda", "expected `id TAB type start end TAB text`"),
        ("T6\tPerson 0;3\tAda", "expected `id TAB type start end TAB text`"),
        (f"T6\tPerson 0 {'9' * 5000}\tAda", "expected `id TAB type start end TAB text`"),
        ("T6\tPerson 0 3\tAdа", "the text has 'Ada' there, not 'Adа'"),
        ("T6\tPerson 0 999\tAda", "[0, 999] is no span of a text of 34 characters"),
        ("T6\tPerson 3 3\t", "[3, 3] is no span of a text"),
        ("T6\tPerson 0 3;1 3\tAda da", "[0, 3], [1, 3] is no span of a text"),
        (f"T6\tPerson {'0 1;' * 99}0 1\tA", "[0, 1], " * 7 + "[0, ... is no span of a text of 34"),
        ("T6\t人 0 3\tAda", "the label '人' is no class name"),
        ("E6\t", "an event without `type:trigger`"),
        ("E6\tGiving", "expected `role:id`, got 'Giving'"),
        ("E6\tGiving:T2 giver:", "expected `role:id`, got 'giver:'"),
        ("E6\tGiving:T9", "no line has the trigger 'T9'"),
        ("E6\tGiving:E1", "no line has the trigger 'E1'"),
        ("E6\tGiving:T2 giver:T9", "no text bound or event has the id 'T9'"),
        ("R6\tKnows Arg1:T1", "a relation with 1 ends, not two"),
        ("R6\tKnows Arg1:T1 Arg2:T9", "no text bound or event has the id 'T9'"),
    ],
)
def test_damage_to_brat_is_named(line, message, tmp_path):
    with pytest.raises(KcxError) as error:
        list(read_records(brat(tmp_path, f"{ANN}{line}\n")))
    assert str(error.value).startswith(f"{tmp_path / 'doc.ann'}:{ANN.count(chr(10)) + 1}: {message}")


def test_a_brat_file_without_its_other_half_is_named(tmp_path):
    with pytest.raises(KcxError, match=r"no \.txt with its \.ann"):
        choose_reader(tmp_path)
    brat(tmp_path, ANN)
    (tmp_path / "b.txt").write_text("Ada")
    with pytest.raises(KcxError, match=r"b\.ann: is not there"):
        choose_reader(tmp_path)
    (tmp_path / "b.txt").rename(tmp_path / "b.ann")
    with pytest.raises(KcxError, match=r"b\.txt: is not there"):
        choose_reader(tmp_path / "b.ann")
    (tmp_path / "b.ann").unlink()
    (tmp_path / "doc.txt").write_bytes(b"Ada\xff")
    with pytest.raises(KcxError, match=r"doc\.txt: not UTF-8 \(byte 3\)"):
        list(read_records(tmp_path))


@pytest.mark.parametrize(("row", "reader"), [(FEWFC, "fewfc"), (PHEE, "phee"), (ONEIE, "oneie")])
def test_the_reader_is_chosen_by_content(row, reader, tmp_path):
    path = tmp_path / "anything.txt"
    path.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert choose_reader(path) == reader
    assert choose_reader(brat(tmp_path, ANN, name="anything") / "anything.txt") == "brat"


@pytest.mark.parametrize(("row", "reader"), [(FEWFC, "fewfc"), (PHEE, "phee"), (ONEIE, "oneie")])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_read_soundly_or_refused(row, reader, tmp_path, data):
    path = data.draw(st.sampled_from([path for path in paths(row) if path]))
    broken, refusal = changed(row, data.draw(JSON), *path), ""
    try:
        for record in read(tmp_path, broken, reader):
            record.check()
    except KcxError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith(f"{tmp_path / 'corpus.json'}:1: ")


def test_fewfc_without_an_inventory_keeps_its_roles_as_they_are_spelled(tmp_path):
    row = changed(FEWFC, "sub/org", *MENTION, 0, "role")
    (record,) = read(tmp_path, row, "fewfc", inventory=None)
    assert record.events[0].type == "ShareReduction"
    assert record.events[0].arguments[0].role == "sub_org"
    row["events"][1]["mentions"].append({"word": "甲公司", "span": [0, 3], "role": "sub-org"})
    with pytest.raises(KcxError, match="the roles 'sub/org' and 'sub-org' would both become sub_org"):
        read(tmp_path, row, "fewfc", inventory=None)
