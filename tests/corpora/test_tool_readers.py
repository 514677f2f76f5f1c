"""Formats of annotation tools and other projects: their quirks, what is set aside, and damage by name."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import choose_reader, read_records, write_records
from kcx_jax.corpora.readers import relations
from kcx_jax.corpora.readers.offset_units import code_points, converter
from kcx_jax.errors import KcxError, UsageError

TEXT = "😀 Ada left Rome; Rome wept."


def region(start, end, label="PER", **more):
    value = {
        "start": start,
        "end": end,
        "text": more.pop("text", TEXT[start - 1 : end - 1]),
        "labels": [label],
    }
    return {"id": f"r{start}", "type": "labels", "from_name": "l", "to_name": "t", "value": value} | more


STUDIO = {
    "id": 7,
    "data": {"text": TEXT, "url": "x"},
    "annotations": [
        {"was_cancelled": True, "result": [region(3, 6, "WRONG")]},
        {
            "result": [
                region(3, 6),
                region(12, 16, "LOC"),
                {"id": "c", "type": "choices", "value": {"choices": ["news"]}},
                {
                    "type": "relation",
                    "from_id": "r12",
                    "to_id": "r3",
                    "direction": "left",
                    "labels": ["left"],
                },
            ]
        },
        {"result": []},
    ],
}
MINIMAL = {"id": 8, "text": TEXT, "spans": [region(3, 6)["value"]], "annotator": 1}
DOCCANO = {"id": 1, "text": TEXT, "label": [[2, 5, "PER"], [11, 15, "LOC"]]}
DOCCANO_LINKED = {
    "id": 1,
    "text": TEXT,
    "entities": [
        {"id": 10, "label": "PER", "start_offset": 2, "end_offset": 5},
        {"id": 11, "label": "LOC", "start_offset": 11, "end_offset": 15},
    ],
    "relations": [{"id": 1, "from_id": 10, "to_id": 11, "type": "left"}],
}
PRODIGY = {
    "text": TEXT,
    "_input_hash": 3,
    "spans": [{"start": 2, "end": 5, "label": "PER", "token_start": 1}],
    "relations": [
        {
            "label": "left",
            "head_span": {"start": 2, "end": 5, "label": "PER"},
            "child_span": {"start": 11, "end": 15, "label": "LOC"},
        }
    ],
    "answer": "accept",
}
GLINER = {
    "tokenized_text": ["Ada", "left", "New", "Rome"],
    "ner": [[0, 0, "PER"], [2, 3, "LOC"], [3, 3, "LOC"]],
}
KNOWCODER = {
    "sentence": "Ada met Ada in Rome.",
    "entities": [
        {"name": "Ada", "type": "Person", "pos": ""},
        {"name": "Ada", "type": "Person", "pos": ""},
        {"name": "Rome", "type": "City", "pos": [15, 19]},
        {"name": "Bob", "type": "Person", "pos": ""},
    ],
    "events": [
        {
            "type": "Meeting",
            "trigger": "met",
            "pos": [4, 7],
            "arguments": [{"role": "place", "name": "Rome", "type": "City", "pos": ""}],
        }
    ],
}


def instruction(task, schema, output, text="Ada left Rome."):
    asked = {"instruction": "...", "schema": schema, "input": text}
    return {"task": task, "instruction": json.dumps(asked), "output": json.dumps(output)}


IEPILE = {
    "NER": instruction("NER", ["person", "city"], {"person": ["Ada"], "city": ["Rome", "Bonn"]}),
    "RE": instruction("RE", ["left"], {"left": [{"subject": "Ada", "object": "Rome"}]}),
    "EET": instruction("EET", ["go"], {"go": ["left"]}),
    "EE": instruction(
        "EE",
        [{"event_type": "go", "trigger": True, "arguments": ["who", "when"]}],
        {"go": [{"trigger": "left", "arguments": {"who": ["Ada", "Rome"], "when": "NAN"}}]},
    ),
    "KG": instruction(
        "KG", [{"entity_type": "person", "attributes": ["city"]}], {"person": {"Ada": {"city": "Rome"}}}
    ),
    "plain": {"text": "Ada left Rome.", "entity": [{"entity": "Ada", "entity_type": "person"}]},
    "test": {
        "id": "a",
        "instruction": json.dumps({"instruction": "...", "schema": ["left"], "input": "Ada left Rome."}),
        "label": json.dumps([{"head": "Ada", "relation": "left", "tail": "Rome"}]),
    },
}
INLINE = {
    "tags": "<PER>Ada</PER> left <LOC>New <LOC>Rome</LOC></LOC> if 1 < 2.\n\nNobody left.\n",
    "links": "[Ada](PER) left [New Rome](LOC) [1].\n",
    "braces": "{{person_name:艾达}}离开{{location:罗马}}。\n",
}
ITEMS = {
    "label-studio": [STUDIO, MINIMAL],
    "doccano": [DOCCANO, DOCCANO_LINKED],
    "prodigy": [PRODIGY],
    "gliner": [GLINER, GLINER | {"text": "Ada left New Rome", "relations": []}],
    "knowcoder": [KNOWCODER],
    "iepile": list(IEPILE.values()),
}
CASES = [(reader, item) for reader, items in ITEMS.items() for item in items]


@pytest.fixture
def read(tmp_path):
    def read(reader, *items, **options):
        path = tmp_path / "corpus.json"
        path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
        return list(read_records(path, reader, **{"inventory": None} | options))

    return read


def surfaces(record):
    return [(mention.type, mention.text, mention.start) for mention in record.entities]


def links(record):
    texts = {mention.id: mention.text for mention in record.entities}
    return [(link.type, texts[link.head], texts[link.tail]) for link in record.relations]


def test_label_studio_counts_as_a_browser_does(read):
    (task,) = read("label-studio", STUDIO)
    assert surfaces(task) == [("PER", "Ada", 2), ("LOC", "Rome", 11)]
    assert links(task) == [("left", "Ada", "Rome")]
    assert task.meta["set_aside"] == {"regions of type choices": 1, "further annotations": 1}
    assert surfaces(read("label-studio", MINIMAL)[0]) == [("PER", "Ada", 2)]
    (bare,) = read("label-studio", STUDIO | {"annotations": []})
    assert bare.entities is None


def test_doccano(read):
    plain, linked = read("doccano", DOCCANO, DOCCANO_LINKED)
    assert surfaces(plain) == surfaces(linked) == [("PER", "Ada", 2), ("LOC", "Rome", 11)]
    assert plain.relations is None
    assert links(linked) == [("left", "Ada", "Rome")]


def test_prodigy_keeps_the_text_of_what_was_rejected(read):
    accepted, rejected = read("prodigy", PRODIGY, PRODIGY | {"answer": "reject"})
    assert surfaces(accepted) == [("PER", "Ada", 2), ("LOC", "Rome", 11)]
    assert links(accepted) == [("left", "Ada", "Rome")]
    assert (rejected.text, rejected.entities, rejected.relations) == (TEXT, None, None)
    assert rejected.meta["set_aside"] == {"tasks answered reject": 1}


def test_prodigy_leaves_out_the_spans_of_a_text_that_has_none(read):
    bare = {"text": "Nobody left.", "_input_hash": 4, "answer": "accept"}
    spans_only = {key: value for key, value in PRODIGY.items() if key != "relations"}
    for first, expected in ((PRODIGY, ((), ())), (spans_only, ((), None)), (bare, (None, None))):
        record = read("prodigy", first, bare)[1]
        assert (record.entities, record.relations) == expected


def test_gliner_ends_are_inclusive_and_spans_may_lie_in_each_other(read):
    (record,) = read("gliner", GLINER)
    assert surfaces(record) == [("PER", "Ada", 0), ("LOC", "New Rome", 9), ("LOC", "Rome", 13)]


def end_of(first, last, mention, label="ANY"):
    return {"mention": mention, "position": [first, last], "type": label}


GLIREL = GLINER | {
    "relations": [
        {"head": end_of(0, 0, "Ada"), "tail": end_of(2, 3, "New Rome"), "relation_text": "left"},
        {"head": end_of(0, 0, "Ada"), "tail": end_of(3, 3, "Rome"), "relation_text": "no relation"},
        {"head": end_of(1, 1, "left", "VERB"), "tail": end_of(3, 3, "Rome"), "relation_text": "from place"},
    ]
}


def test_glirels_relations_link_the_entities_at_their_positions(read):
    (record,) = read("gliner", GLIREL)
    assert links(record) == [("left", "Ada", "New Rome"), ("from_place", "left", "Rome")]
    assert [m.type for m in record.entities] == ["PER", "VERB", "LOC", "LOC"]
    wrong = GLINER | {"relations": [GLIREL["relations"][0] | {"tail": end_of(2, 4, "New Rome")}]}
    with pytest.raises(KcxError, match=r"corpus.json:1: relations\[0\].tail.position: .*no span of 4 tokens"):
        read("gliner", wrong)
    wrong["relations"][0]["tail"] = end_of(1, 3, "New Rome")
    with pytest.raises(KcxError, match=r"relations\[0\].tail.mention: is 'New Rome', but .* 'left New Rome'"):
        read("gliner", wrong)


def test_gliner_takes_the_text_that_stands_beside_the_tokens(read):
    (record,) = read("gliner", GLINER | {"text": "Ada left\tNewRome"})
    assert (record.text, surfaces(record)[1]) == ("Ada left\tNewRome", ("LOC", "NewRome", 9))
    with pytest.raises(KcxError, match=r"tokenized_text\[1\]: the token 'left' does not stand"):
        read("gliner", GLINER | {"text": "Ada New Rome"})


def test_knowcoder_takes_repeats_in_order_where_nobody_says_their_place(read):
    (record,) = read("knowcoder", KNOWCODER)
    assert surfaces(record) == [("Person", "Ada", 0), ("Person", "Ada", 8), ("City", "Rome", 15)]
    assert record.meta["set_aside"] == {"entities that are not in the text": 1}
    (event,) = record.events
    assert (event.trigger.start, event.arguments[0].start) == (4, 15)
    entities = [
        {"name": "ADA", "type": "Person", "pos": [8, 11]},
        {"name": "Bob", "type": "Person", "pos": [0, 3]},
    ]
    (record,) = read("knowcoder", KNOWCODER | {"entities": entities})
    assert surfaces(record) == [("Person", "Ada", 8)]
    assert record.meta["set_aside"] == {"surfaces that are not at their pos": 1}


def test_knowcoder_links_what_stands_at_the_pos_and_looks_for_the_rest_near_it(read):
    last, city = {"name": "Ada", "type": "Person", "pos": [8, 11]}, {"name": "Rome", "pos": [15, 19]}
    ends = [(last, city), (last, "Ada"), ("Ada", city), (city, {"name": "Bob", "pos": [0, 3]})]
    rows = [{"type": "Knows", "head": head, "tail": tail} for head, tail in ends]
    (record,) = read("knowcoder", KNOWCODER | {"entities": [], "relations": rows, "events": []})
    starts = {mention.id: mention.start for mention in record.entities}
    assert [(starts[r.head], starts[r.tail]) for r in record.relations] == [(8, 15), (8, 0), (8, 15)]
    assert record.meta["ambiguous"] == {"relations": [1, 2]}


def test_iepile_in_all_its_forms(read):
    found = dict(zip(IEPILE, read("iepile", *IEPILE.values()), strict=True))
    assert surfaces(found["NER"]) == [("person", "Ada", 0), ("city", "Rome", 9)]
    assert found["NER"].meta["set_aside"] == {"entities that are not in the text": 1}
    assert found["NER"].relations is None
    for name, label in (("RE", "left"), ("KG", "city"), ("test", "left")):
        assert links(found[name]) == [(label, "Ada", "Rome")]
    (trigger,) = found["EET"].events
    assert (trigger.type, trigger.trigger.text, trigger.arguments) == ("go", "left", ())
    (event,) = found["EE"].events
    assert [(a.role, a.text) for a in event.arguments] == [("who", "Ada"), ("who", "Rome")]
    assert found["EE"].entities is None
    assert surfaces(found["plain"]) == [("person", "Ada", 0)]


def test_an_empty_answer_says_which_task_it_is_of_or_nothing(read):
    by_task, unknown = read(
        "iepile", instruction("RE", ["left"], {"left": []}), instruction("", ["left"], {"left": []})
    )
    assert (by_task.relations, by_task.events) == ((), None)
    assert (unknown.entities, unknown.relations, unknown.events) == (None, None, None)


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("tags", [("PER", "Ada", 0), ("LOC", "New Rome", 9), ("LOC", "Rome", 13)]),
        ("links", [("PER", "Ada", 0), ("LOC", "New Rome", 9)]),
        ("braces", [("person_name", "艾达", 0), ("location", "罗马", 4)]),
    ],
)
def test_inline(tmp_path, spelling, expected):
    path = tmp_path / "text.txt"
    path.write_text(INLINE[spelling], encoding="utf-8")
    assert choose_reader(path) == "inline"
    records = list(read_records(path, inventory=None))
    assert surfaces(records[0]) == expected
    assert len(records) == (2 if spelling == "tags" else 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("<A>x", "<A> is not closed"),
        ("x</A>", "</A> that was not opened"),
        ("<A><B>x</A></B>", "</A> after <B>"),
        ("<A></A>", "nothing stands between"),
    ],
)
def test_tags_that_do_not_close_are_named(tmp_path, line, problem):
    path = tmp_path / "text.txt"
    path.write_text(f"<A>y</A>\n{line}\n", encoding="utf-8")
    with pytest.raises(KcxError, match=f"text.txt:2: .*{problem}"):
        list(read_records(path, "inline", inventory=None))


@pytest.mark.parametrize(("reader", "item"), CASES, ids=[reader for reader, _ in CASES])
@pytest.mark.parametrize("packed", [False, True])
def test_each_is_recognised_and_its_records_can_be_written(tmp_path, reader, item, packed):
    path = tmp_path / f"anything{'.gz' if packed else ''}"
    data = json.dumps([item] if reader == "label-studio" else item).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    assert choose_reader(path) == reader
    records = list(read_records(path, inventory=None))
    write_records(records, tmp_path / "out.jsonl")
    assert list(read_records(tmp_path / "out.jsonl")) == records


@pytest.mark.parametrize(
    ("reader", "item", "problem"),
    [
        ("doccano", {"text": "a", "label": [[0, 2, "X"]]}, r"label\[0\].*no span"),
        ("doccano", {"text": "a", "label": ["news"]}, r"label\[0\].*\[start, end, label\]"),
        ("doccano", DOCCANO_LINKED | {"entities": []}, r"relations\[0\].from_id: no entity has the id 10"),
        ("prodigy", {"text": "a", "spans": [{"start": 0, "end": 9, "label": "X"}]}, r"spans\[0\].*no span"),
        ("gliner", {"tokenized_text": ["a"], "ner": [[0, 1, "X"]]}, r"ner\[0\].*no span"),
        ("gliner", {"tokenized_text": [1], "ner": []}, "tokenized_text: must be a list of strings"),
        (
            "label-studio",
            {"data": {"text": "ab"}, "annotations": [{"result": [region(1, 2, text="x")]}]},
            "'x' does not",
        ),
        (
            "label-studio",
            {"data": {"a": "1", "b": "2"}, "annotations": []},
            "data.text: is missing, and 2 other",
        ),
        ("iepile", {"instruction": "{", "output": "{}"}, "instruction: is no JSON"),
        (
            "iepile",
            instruction("RE", ["a"], {"a": [{"subject": 1}]}),
            r"output.a\[0\].subject: must be a string",
        ),
        (
            "iepile",
            instruction("EE", [], {"a": [{"trigger": "left", "arguments": {"r": [3]}}]}),
            "must be a string or",
        ),
    ],
)
def test_damage_is_named(read, reader, item, problem):
    with pytest.raises(KcxError, match=rf"corpus.json:1: .*{problem}"):
        read(reader, item)


@given(st.text(min_size=1, max_size=12), st.data())
def test_offsets_in_any_unit_come_back_as_code_points(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    for encoding, width in (("utf-16-le", 2), ("utf-8", 1)):
        before, surface = (
            len(part.encode(encoding, "surrogatepass")) // width for part in (text[:start], text[start:end])
        )
        ((a, b),) = code_points(text, [(before, before + surface, text[start:end])], "x")
        assert text[a:b] == text[start:end]


def test_the_table_of_offsets_is_made_once_a_text(read, monkeypatch):
    made = []
    monkeypatch.setattr(relations, "converter", lambda *to: made.append(to) or converter(*to))
    read("doccano", DOCCANO, offset_unit="code-points")
    assert made == [(TEXT, "code-points")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | st.text("ab<é😀", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted({k for _, item in CASES for k in item} | {"start", "end"})),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(case=st.sampled_from(CASES), changes=st.data())
def test_whatever_stands_in_a_field_is_read_or_named(read, case, changes):
    reader, item = case
    key = changes.draw(st.sampled_from(sorted(item)))
    try:
        read(reader, item | {key: changes.draw(json_values)})
        named = "corpus.json"
    except KcxError as error:
        named = str(error)
    assert "corpus.json" in named


def test_parquet_and_arrow_folders_as_datasets_writes_them(tmp_path):
    datasets = pytest.importorskip("datasets")
    names = ["O", "B-PER", "B-LOC", "I-LOC"]
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=names)),
        }
    )
    rows = {"tokens": [["Ada", "left", "New", "Rome"], ["Nobody"]], "ner_tags": [[1, 0, 2, 3], [0]]}
    dataset = datasets.Dataset.from_dict(rows, features=features)
    dataset.to_parquet(str(tmp_path / "train.parquet"))
    dataset.save_to_disk(str(tmp_path / "saved"))
    for path in (tmp_path / "train.parquet", tmp_path / "saved"):
        assert choose_reader(path) == "parquet"
        first, second = read_records(path, inventory=None)
        assert surfaces(first) == [("PER", "Ada", 0), ("LOC", "New Rome", 9)]
        assert second.entities == ()
    plain = datasets.Dataset.from_dict({"tokens": [["a"]], "ner_tags": [[1]]})
    plain.to_parquet(str(tmp_path / "plain.parquet"))
    with pytest.raises(KcxError, match=r"plain.parquet: row 1: the tag 1 has no name"):
        list(read_records(tmp_path / "plain.parquet", inventory=None))
    (tmp_path / "broken.parquet").write_bytes((tmp_path / "plain.parquet").read_bytes()[:200])
    with pytest.raises(KcxError, match="cannot be read"):
        list(read_records(tmp_path / "broken.parquet", "parquet"))


def test_a_dataset_that_says_its_split_keeps_it(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"tokens": [["Ada"]], "ner_tags": [["B-PER"]]}
    for name, split in (("test", datasets.Split.TEST), ("whole", None)):
        datasets.Dataset.from_dict(rows, split=split).save_to_disk(str(tmp_path / name))
        (record,) = read_records(tmp_path / name, inventory=None)
        assert record.meta.get("split") == (split and str(split))
    datasets.Dataset.from_dict(rows | {"split": ["validation"]}).to_parquet(str(tmp_path / "rows.parquet"))
    (record,) = read_records(tmp_path / "rows.parquet", inventory=None)
    assert record.meta["split"] == "validation"


def test_docbin_as_spacy_writes_it(tmp_path):
    spacy = pytest.importorskip("spacy")
    from spacy.tokens import DocBin

    nlp = spacy.blank("en")
    doc = nlp(TEXT)
    doc.set_ents([doc.char_span(2, 5, "PER"), doc.char_span(11, 15, "LOC")])
    doc.spans["sc"] = [doc.char_span(2, 5, "PER"), doc.char_span(2, 10, "PHRASE")]
    DocBin(docs=[doc, nlp("Bare.")], store_user_data=True).to_disk(tmp_path / "train.spacy")
    assert choose_reader(tmp_path / "train.spacy") == "docbin"
    first, second = read_records(tmp_path / "train.spacy", inventory=None)
    assert surfaces(first) == [("PER", "Ada", 2), ("PHRASE", "Ada left", 2), ("LOC", "Rome", 11)]
    assert second.entities is None
    (tmp_path / "broken.spacy").write_bytes(b"x\x9cnothing")
    with pytest.raises(KcxError, match=r"broken.spacy: is no DocBin"):
        list(read_records(tmp_path / "broken.spacy"))


def test_the_real_samples_of_iepile_and_knowcoder_are_read_whole(shared):
    """Every sample has its text, and what the file says is found or counted (schemas of RE hold no class names)."""
    files = sorted((shared / "data" / "iepile_samples").glob("*/[st][ar]*.json"))
    for path in (*files, shared / "data" / "knowcoder_example" / "example_data.jsonl"):
        if path.name == "schema.json":
            continue
        items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        records = list(read_records(path, language="zh", inventory=None, auto=True))
        assert len(records) == len(items)
        placed = sum(len(layer or ()) for r in records for layer in (r.entities, r.relations, r.events))
        assert placed + sum(sum(r.meta.get("set_aside", {}).values()) for r in records) > 0


@pytest.mark.parametrize(("unit", "start", "end"), [("code-points", 2, 5), ("utf-16", 3, 6), ("utf-8", 5, 8)])
def test_offsets_are_read_in_the_unit_that_was_named(read, unit, start, end):
    items = {
        "doccano": {"text": "😀 Ada", "label": [[start, end, "PER"]]},
        "prodigy": {"text": "😀 Ada", "spans": [{"start": start, "end": end, "label": "PER"}]},
        "label-studio": {
            "data": {"text": "😀 Ada"},
            "annotations": [{"result": [region(start, end, text="Ada")]}],
        },
    }
    for reader, item in items.items():
        (record,) = read(reader, item, offset_unit=unit)
        assert [(m.start, m.end) for m in record.entities] == [(2, 5)]
    other = "utf-8" if unit == "utf-16" else "utf-16"
    with pytest.raises(KcxError, match=rf"in {other}; all its surfaces do in {unit}: name that"):
        read("label-studio", items["label-studio"], offset_unit=other)


def test_a_unit_that_is_unknown_or_not_taken_is_refused(read):
    with pytest.raises(UsageError, match="unknown offset unit 'bytes'; known: code-points"):
        read("doccano", DOCCANO, offset_unit="bytes")
    with pytest.raises(
        UsageError, match="the reader gliner takes no offset unit; those that do: label-studio"
    ):
        read("gliner", GLINER, offset_unit="utf-8")
    with pytest.raises(KcxError, match=r"label\[0\]: \[1, 2\) is no span .*offsets in utf-8"):
        read("doccano", {"text": "😀 Ada", "label": [[1, 2, "PER"]]}, offset_unit="utf-8")
