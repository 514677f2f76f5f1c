"""Records: on disk and back unchanged; whatever is wrong with one is refused by name."""

import copy
import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import (
    Argument,
    EventMention,
    Mention,
    ParallelRecord,
    Record,
    RelationLink,
    Span,
    read_parallel,
    read_records,
    write_parallel,
    write_records,
)
from kcx_jax.errors import KcxError

# Any code point, lone surrogates too, as long as no two of them stand together (JSON cannot tell such a pair
# from the character it spells).
TEXTS = st.text(
    st.one_of(
        st.characters(codec="utf-8"), st.sampled_from('李白 ا😀é\u0301\u200d\u2028\u0085\ufeff\r\n\t"\\')
    ),
    min_size=1,
    max_size=40,
).flatmap(lambda text: st.sampled_from([text, f"\ud800 {text}", f"{text}\udfff"]))
NAMES = st.sampled_from(["Person", "City", "BirthPlace", "from_", "X1"])


@st.composite
def spans(draw, text):
    """(start, end, parts) within `text`."""
    start = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(start + 1, len(text)))
    if end - start >= 3 and draw(st.booleans()):
        return start, end, ((start, start + 1), (end - 1, end))
    return start, end, ()


@st.composite
def records(draw):
    """A record with any combination of annotated layers."""
    text = draw(TEXTS)
    entities = relations = events = None
    ids = []
    if draw(st.booleans()):
        places = draw(st.lists(spans(text), max_size=4))
        ids = [f"e{i}" for i in range(len(places))]
        entities = tuple(
            Mention(i, draw(NAMES), s, e, text[s:e], parts)
            for i, (s, e, parts) in zip(ids, places, strict=True)
        )
    if ids and draw(st.booleans()):
        link = st.builds(RelationLink, NAMES, st.sampled_from(ids), st.sampled_from(ids))
        relations = tuple(draw(st.lists(link, max_size=3)))
    if draw(st.booleans()):
        events = tuple(draw(_event(text, ids)) for _ in range(draw(st.integers(0, 2))))
    meta = draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=2))
    return Record(draw(st.text(min_size=1, max_size=9)), "zh", text, entities, relations, events, meta)


@st.composite
def _event(draw, text, ids):
    arguments = []
    for _ in range(draw(st.integers(0, 3))):
        if ids and draw(st.booleans()):
            arguments.append(Argument(draw(NAMES), entity=draw(st.sampled_from(ids))))
        else:
            s, e, parts = draw(spans(text))
            arguments.append(Argument(draw(NAMES), start=s, end=e, text=text[s:e], spans=parts))
    s, e, parts = draw(spans(text))
    return EventMention(draw(NAMES), Span(s, e, text[s:e], parts), tuple(arguments))


@settings(deadline=None)
@given(records())
def test_json_and_back_is_the_same_record(record):
    value = json.loads(json.dumps(record.to_json()))
    assert Record.from_json(value) == record
    for layer in ("entities", "relations", "events"):
        assert (layer in value) == (getattr(record, layer) is not None)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
@settings(deadline=None, max_examples=30)
@given(several=st.lists(records(), max_size=3))
def test_disk_and_back_is_the_same_record(name, several, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / name
    assert write_records(iter(several), path) == len(several)
    assert list(read_records(path, "jsonl")) == several
    pairs = [ParallelRecord(record.id, record, record, {"by": "hand"}) for record in several]
    assert write_parallel(pairs, path, overwrite=True) == len(several)
    assert list(read_parallel(path)) == pairs


def test_equal_records_make_equal_bytes(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_records([Record("1", "en", "Ada")], tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


GOOD = {
    "id": "doc1-7",
    "language": "zh",
    "text": "李白 attacked 杜甫 on 3 May.",
    "entities": [
        {"id": "e0", "type": "Person", "start": 0, "end": 2, "text": "李白"},
        {"id": "e1", "type": "Person", "start": 12, "end": 14, "text": "杜甫"},
        {
            "id": "e2",
            "type": "Pair",
            "start": 0,
            "end": 14,
            "text": "李白 attacked 杜甫",
            "spans": [[0, 2], [12, 14]],
        },
    ],
    "relations": [{"type": "Rival", "head": "e0", "tail": "e1"}],
    "events": [
        {
            "type": "Attack",
            "trigger": {"start": 3, "end": 11, "text": "attacked"},
            "arguments": [
                {"role": "attacker", "entity": "e0"},
                {"role": "time", "start": 18, "end": 23, "text": "3 May"},
            ],
        }
    ],
    "meta": {"source": "hand"},
}
MISSING = object()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("id", MISSING, "id: is missing"),
        ("id", "", "id: must not be empty"),
        ("id", 7, "id: must be a string, not a number"),
        ("text", None, "text: must be a string, not null"),
        ("language", ["zh"], "language: must be a string, not a list"),
        ("entitis", [], "entitis: unknown key; did you mean 'entities'?"),
        ("entities", None, "entities: must be a list, not null"),
        ("entities.0", "李白", "entities[0]: must be an object, not a string"),
        ("entities.0.start", "0", "entities[0].start: must be an integer, not a string"),
        ("entities.0.start", True, "entities[0].start: must be an integer, not true/false"),
        ("entities.0.end", 99, "entities[0]: [0, 99) is no span of a text of 24 characters"),
        ("entities.0.end", 0, "entities[0]: [0, 0) is no span"),
        ("entities.0.start", -2, "entities[0]: [-2, 2) is no span"),
        ("entities.0.end", 3, "entities[0].text: is '李白' but [0, 3) of the text is '李白 '"),
        ("entities.1.id", "e0", "entities[1].id: 'e0' is used twice"),
        ("entities.0.type", "人物", "entities[0].type: '人物' is no class or role name"),
        ("entities.2.spans", [[12, 14], [0, 2]], "entities[2].spans: must be sorted"),
        ("entities.2.spans", [[0, 3], [2, 14]], "entities[2].spans: must be sorted, not overlap"),
        (
            "entities.2.spans",
            [[1, 2], [12, 14]],
            "entities[2].spans: must be sorted, not overlap, and reach from 0",
        ),
        ("entities.2.spans", [[0, 2, 14]], "entities[2].spans: must be a list of [start, end]"),
        ("relations.0.head", "e9", "relations[0].head: no entity has the id 'e9'"),
        ("relations.0.tail", MISSING, "relations[0].tail: is missing"),
        ("events.0.trigger", MISSING, "events[0].trigger: must be an object, not null"),
        ("events.0.trigger.text", "attack", "events[0].trigger.text: is 'attack'"),
        ("events.0.arguments.0.entity", "e9", "events[0].arguments[0].entity: no entity has the id 'e9'"),
        ("events.0.arguments.0.start", 0, "events[0].arguments[0].entity: stands beside offsets"),
        ("events.0.arguments.1.end", 22, "events[0].arguments[1].text: is '3 May' but [18, 22)"),
        (
            "events.0.arguments.1.role",
            "the time",
            "events[0].arguments[1].role: 'the time' is no class or role",
        ),
        ("meta", [], "meta: must be an object, not a list"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(path, value, message, tmp_path):
    row = copy.deepcopy(GOOD)
    *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    holder = row
    for key in way:
        holder = holder[key]
    if value is MISSING:
        del holder[last]
    else:
        holder[last] = value
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in (GOOD, row)), encoding="utf-8")
    with pytest.raises(KcxError) as error:
        list(read_records(file, "jsonl"))
    assert str(error.value).startswith(f"{file}:2: {message}")


def test_the_good_record_is_read_and_lone_surrogates_are_escaped(tmp_path):
    assert Record.from_json(GOOD).to_json() == GOOD
    write_records([Record("\udc00", "en", "a\ud800b")], tmp_path / "a.jsonl")
    raw = (tmp_path / "a.jsonl").read_bytes()
    assert b"a\\ud800b" in raw
    assert raw.decode("utf-8")


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_crlf_and_blank_lines_are_tolerated(bom, end, tmp_path):
    line = json.dumps(GOOD, ensure_ascii=False).encode()
    (tmp_path / "a.jsonl").write_bytes(bom + line + end + end + line)
    assert [record.to_json() for record in read_records(tmp_path / "a.jsonl")] == [GOOD, GOOD]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": "1"', ":1: not JSON"),
        (b'{"id": "1", "text": "", "meta": {"x": NaN}}', ":1: not JSON: NaN is no JSON number"),
        (b"\n" + b"[" * 100_000, ":2: not JSON"),
        (b'{"id": "1", "text": "\xff"}', ":1: not UTF-8"),
        (b"[]", ":1: must be an object, not a list"),
    ],
)
def test_lines_that_cannot_be_read_are_named(content, message, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(KcxError, match=r".") as error:
        list(read_records(path, "jsonl"))
    assert str(error.value).startswith(f"{path}{message}")


def test_a_damaged_archive_and_a_missing_file_are_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}" * 10_000)[:-20])
    with pytest.raises(KcxError, match="damaged"):
        list(read_records(path, "jsonl"))
    for missing in (tmp_path / "no.jsonl", tmp_path):
        with pytest.raises(KcxError, match=r"cannot read|is a folder"):
            list(read_records(missing, "jsonl"))


def test_writing_checks_and_loses_nothing(tmp_path):
    path = tmp_path / "a.jsonl"
    good, bad = Record("1", "en", "Ada"), Record("2", "en", "Ada", (Mention("e0", "Person", 0, 2, "Ada"),))
    write_records([good], path)
    with pytest.raises(KcxError, match="exists already"):
        write_records([good], path)
    for broken in (bad, Record("2", "en", "Ada", meta={"x": float("nan")})):
        with pytest.raises(KcxError, match="record '2'"):
            write_records([good, broken], path, overwrite=True)
    assert list(read_records(path)) == [good]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]
