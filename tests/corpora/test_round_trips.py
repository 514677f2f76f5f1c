"""Any record in any format: what comes back equals what went in, or the writer refused it or counted the loss."""

import importlib.util
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record, read_records
from kcx_jax.corpora.writers import write_records
from kcx_jax.corpora.writers.conll import TAG_SCHEMES
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema

from .written import content, records, wild_records

SCHEMA = load_schema(
    """
class Person(Entity): pass
class Location(Entity): pass
class PER(Entity): pass
class Born(Relation): pass
class Met(Relation): pass
class BirthPlace(Relation): pass
class Attack(Event):
    agent: list[Entity]
    Main__Sub: list[Entity]
    Main___Sub: list[Entity]
    from_: list[Entity]
    _a_____b: list[Entity]
class Meet(Attack): pass
"""
)
WRITERS = [
    "jsonl",
    *(f"conll {scheme}" for scheme in TAG_SCHEMES),
    "brat",
    "label-studio",
    "gliner",
    "iepile",
]
WRITERS += ["iepile-instructions", "knowcoder", "huggingface"]
# Where an empty layer leaves no trace: it comes back as not annotated.
TRACELESS = dict.fromkeys(["conll", "brat", "label-studio", "gliner"], ("relations", "events"))
LAYERS = {"NER": "entities", "RE": "relations", "EE": "events"}
# Where an event's argument is a surface, whether it is an entity or not.
UNTYPED_ARGUMENTS = ("iepile", "iepile-instructions", "knowcoder")
READERS = {"iepile-instructions": "iepile", "huggingface": "parquet"}


def options_of(name):
    writer, *scheme = name.split()
    options = {"tag_scheme": scheme[0]} if scheme else {}
    return {"writer": writer, **options} | ({"schema": SCHEMA} if writer == "iepile-instructions" else {})


def through(record, path, name, **more):
    """What a record says after it was written and read back; None where nothing came back."""
    options = options_of(name) | more
    writer = options["writer"]
    assert write_records([record], path, **options) == 1
    found = list(read_records(path, READERS.get(writer, writer), record.language, inventory=None))
    if writer == "iepile-instructions":
        assert all(row.meta["source_id"] == record.id and row.text == record.text for row in found)
        return record.text, together(found, name)
    assert len(found) <= 1
    return said(found[0], name) if found else None


def attempt(record, path, name, **more):
    """What came back and "", or None and the message of the refusal."""
    try:
        return through(record, path, name, **more), ""
    except KcxError as error:
        return None, str(error)


def together(rows, name):
    """The layers of one record from the answers to all questions about it."""
    layers = dict.fromkeys(LAYERS.values())
    for row in rows:
        layer = LAYERS[row.meta["task"]]
        layers[layer] = sorted([*(layers[layer] or ()), *said(row, name)[1][layer]])
    return layers


def said(record, name):
    """What a record says that the format can say, whatever the order of its events and arguments."""
    text, entities, relations, events = content(record)
    if relations is not None and name == "iepile-instructions":  # whose ends have no types
        relations = sorted((kind, head[:2], tail[:2]) for kind, head, tail in relations)
    if events is not None and name in UNTYPED_ARGUMENTS:
        events = [
            (kind, trigger, [(role, filler[:3]) for role, filler in filled])
            for kind, trigger, filled in events
        ]
    if events is not None:
        events = sorted(
            (kind, trigger.start, trigger.end, trigger.spans, sorted(filled))
            for kind, trigger, filled in events
        )
    layers = {"entities": entities, "relations": relations, "events": events}
    return text, {
        key: found or (None if key in TRACELESS.get(name.split()[0], ()) else found)
        for key, found in layers.items()
    }


def items(said):
    """The mentions, relations and events, each as something to count."""
    return Counter(repr((layer, item)) for layer, found in said[1].items() for item in found or ())


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=60, deadline=None)
@given(record=wild_records() | records())
def test_it_comes_back_or_is_refused_or_counted(name, record):
    if name == "huggingface" and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("needs pyarrow")
    with TemporaryDirectory() as folder:
        found, refusal = attempt(record, Path(folder) / "whole", name)
        if not refusal:
            assert found == said(record, name)
            return
        assert refusal.startswith("record 'r 1': ")
        lost = Counter()
        found, refusal = attempt(record, Path(folder) / "part", name, allow_loss=True, lost=lost)
        if refusal:
            assert "has no place in a row of conll" in refusal
            return
        assert lost.total() > 0
        if "the white space" in "".join(lost):  # which moves whatever follows
            return
        missing = items(said(record, name)) - (Counter() if found is None else items(found))
        assert missing.total() <= lost.total()


TYPES = [f"Type{i}" for i in range(13)]
ASKED = load_schema("\n".join(f"class {name}(Entity): pass" for name in TYPES))


@given(st.lists(st.sampled_from(TYPES), max_size=8))
def test_each_instruction_asks_for_six_types_and_each_is_a_key_of_its_answer(types):
    text = "".join(f"[{i}]" for i in range(len(types)))
    mentions = tuple(Mention(f"e{i}", t, 3 * i, 3 * i + 3, f"[{i}]") for i, t in enumerate(types))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        write_records([Record("r", "en", text, mentions)], path, writer="iepile-instructions", schema=ASKED)
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = [json.loads(row["instruction"])["schema"] for row in rows]
    answers = [json.loads(row["output"]) for row in rows]
    assert [len(group) for group in asked] == [6, 6, 1]
    assert [name for group in asked for name in group] == TYPES
    assert [list(answer) for answer in answers] == asked
    found = [(name, each) for answer in answers for name in answer for each in answer[name]]
    assert sorted(found) == sorted((m.type, m.text) for m in mentions)


def test_relations_and_events_are_asked_for_in_fours(tmp_path):
    relations = "\n".join(f"class R{i}(Relation): pass" for i in range(5))
    events = "\n".join(f"class E{i}(Event):\n    when__from: list[Entity]" for i in range(6))
    record = Record("r", "en", "x", (), (), ())
    path = tmp_path / "out"
    schema = load_schema(f"class A(Entity): pass\n{relations}\n{events}")
    write_records([record], path, writer="iepile-instructions", schema=schema)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(row["task"], len(json.loads(row["output"]))) for row in rows] == [
        ("NER", 1), ("RE", 4), ("RE", 1), ("EE", 4), ("EE", 2)
    ]  # fmt: skip
    (event, *_) = json.loads(rows[-1]["instruction"])["schema"]
    assert event == {"event_type": "E4", "trigger": True, "arguments": ["when.from"]}


def test_the_sentence_of_an_instruction_is_ours_or_the_users(tmp_path):
    template = tmp_path / "sentences.yaml"
    template.write_text("NER: |\n  Encontre as\n  entidades.\n", encoding="utf-8")
    record = Record("r", "en", "x", (), (), None)
    schema = load_schema("class A(Entity): pass\nclass B(Relation): pass")
    for name, given_file in (("ours", None), ("theirs", template)):
        write_records(
            [record], tmp_path / name, writer="iepile-instructions", schema=schema, template=given_file
        )
    said_by = {
        name: [
            json.loads(json.loads(line)["instruction"])["instruction"] for line in (tmp_path / name).open()
        ]
        for name in ("ours", "theirs")
    }
    assert said_by["theirs"] == ["Encontre as\nentidades.", said_by["ours"][1]]
    assert said_by["ours"][0] != said_by["ours"][1]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("[1]", "must be a mapping from NER, RE, EE"),
        ("KG: x", "KG: unknown task; known: NER, RE, EE"),
        ("NER: [x]", "NER: must be a sentence"),
        ("RE: ' '", "RE: must be a sentence"),
        ("RE: x\nRE: y", ":2: not YAML: key 'RE' is written twice"),
    ],
)
def test_damage_in_the_users_sentences_is_named(template, message, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(template, encoding="utf-8")
    with pytest.raises(UsageError, match=f"s.yaml.* ?{message}"):
        write_records([], tmp_path / "out", writer="iepile-instructions", schema=ASKED, template=path)
    assert not (tmp_path / "out").exists()


def test_a_schema_is_needed_where_something_is_asked_for_and_refused_elsewhere(tmp_path):
    with pytest.raises(UsageError, match="name the schema"):
        write_records([], tmp_path / "out", writer="iepile-instructions")
    with pytest.raises(UsageError, match="the writer iepile takes no schema and no template"):
        write_records([], tmp_path / "out", writer="iepile", schema=ASKED)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (Record("r", "en", "x", (Mention("e", "Other", 0, 1, "x"),)), "entities of classes that the schema has not"),
        (Record("r", "en", "x", (), ()), "texts whose relations are annotated and not asked for"),
        (Record("r", "en", "xx", (Mention("e", "Type0", 1, 2, "x"),)), "places of entities that names alone"),
    ],
)  # fmt: skip
def test_what_an_instruction_does_not_say_is_refused_or_counted(record, kind, tmp_path):
    options = {"writer": "iepile-instructions", "schema": ASKED}
    with pytest.raises(KcxError, match=f"record 'r': the format iepile-instructions cannot hold {kind}"):
        write_records([record], tmp_path / "out", **options)
    lost = Counter()
    write_records([record], tmp_path / "out", allow_loss=True, lost=lost, **options)
    assert lost.total() == 1
