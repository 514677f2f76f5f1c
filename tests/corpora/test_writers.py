"""What is written is read back the same; what a format cannot hold is refused, or left out and counted."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span, read_records
from kcx_jax.corpora.readers.columns import tagged_spans
from kcx_jax.corpora.writers import WRITERS, write_records
from kcx_jax.corpora.writers.conll import TAG_SCHEMES
from kcx_jax.corpora.writers.tokens import split_tokens
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema

from .written import content, records, texts

TEXT = "Ada Lovelace met 李白 in São Paulo"
ADA, POET, CITY = ((0, 12), (17, 19), (23, 32))


def mention(number, name, place, spans=()):
    return Mention(f"e{number}", name, *place, TEXT[slice(*place)], spans)


FLAT = (mention(0, "Person", ADA), mention(1, "Person", POET), mention(2, "City", CITY))
PLAIN = Record("r1", "en", TEXT, FLAT)
NESTED = replace(PLAIN, entities=(*FLAT, mention(3, "Person", (0, 3))))
PARTED = replace(PLAIN, entities=(*FLAT, mention(3, "Person", (0, 19), ((0, 3), (17, 19)))))
LINKED = replace(PLAIN, relations=(RelationLink("Met", "e0", "e1"),))
EVENTS = replace(
    PLAIN, events=(EventMention("Meet", make_span(TEXT, 13, 16), (Argument("who", entity="e0"),)),)
)


def back(record, writer, **options):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        assert write_records([record], path, writer=writer, **options) == 1
        (found,) = read_records(path, writer, inventory=None)
    return found


@settings(deadline=None)
@given(records())
def test_jsonl_holds_everything(record):
    assert back(record, "jsonl") == record


@settings(max_examples=60, deadline=None)
@given(records(more=["\n", "\r", "\t"], entity_arguments=True))
def test_brat_holds_what_stays_in_a_line(record):
    spans = [*(record.entities or ()), *(event.trigger for event in record.events or ())]
    if any(char in span.text for span in spans for char in "\n\r\t"):
        with pytest.raises(KcxError, match="the format brat cannot hold"):
            back(record, "brat")
        return
    found = back(record, "brat")
    expected = replace(record, relations=record.relations or None, events=record.events or None)
    assert content(found) == content(expected)


def test_brat_holds_discontinuous_mentions():
    assert content(back(PARTED, "brat")) == content(PARTED)


@settings(deadline=None)
@given(records(overlapping=False, relations=False, events=False), st.sampled_from(sorted(TAG_SCHEMES)))
def test_conll_holds_flat_mentions_of_whole_tokens(record, scheme):
    lost = Counter()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        write_records([record], path, writer="conll", tag_scheme=scheme, allow_loss=True, lost=lost)
        found = list(read_records(path, "conll", language="en", inventory=None))
        written = path.read_text(encoding="utf-8")
    if lost["texts without a token"]:
        assert not found
        return
    kept = [(m.type, m.text.split()) for m in found[0].entities]
    whole = [m for m in record.entities if m.text == m.text.strip()]
    assert len(kept) == len(record.entities) - lost["mentions at these places"]
    assert ["".join(words) for _, words in kept] == ["".join(m.text.split()) for m in whole]
    assert (found[0].text == record.text) == (
        not lost["the white space of texts that are not their tokens joined"]
    )
    tags = [line.split("\t")[1] for line in written.splitlines() if "\t" in line]
    lengths = Counter(end - start for start, end, _ in tagged_spans(tags))
    if scheme == "iobes":
        assert sum(tag.startswith("S-") for tag in tags) == lengths[1]


def test_conll_in_each_scheme(tmp_path):
    tokens = [[0, 3], [4, 12], [13, 16], [17, 19], [20, 22], [23, 26], [27, 32]]
    record = replace(PLAIN, meta={"source_tokens": tokens})
    for scheme, tags in {"bio": "B I O B O B I", "iobes": "B E O S O B E", "bmes": "B E O S O B E"}.items():
        path = tmp_path / scheme
        write_records([record], path, writer="conll", tag_scheme=scheme)
        assert [
            line.split("\t")[1][0] for line in path.read_text().splitlines() if "\t" in line
        ] == tags.split()
        (found,) = read_records(path, "conll", "en", inventory=None)
        assert (content(found), found.meta["source_tokens"]) == (content(PLAIN), tokens)


@given(texts())
def test_the_plain_split_covers_all_but_white_space(text):
    tokens = split_tokens(text)
    assert "".join(text[s:e] for s, e in tokens) == "".join(text.split())
    assert tokens == sorted(tokens)


def test_the_plain_split_by_script():
    text = "Ada's été e\u0301t 李白 กรุง 서울 👩"
    assert [text[s:e] for s, e in split_tokens(text)] == [
        "Ada", "'", "s", "été", "e\u0301t", "李", "白", "ก", "รุ", "ง", "서", "울", "👩"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("writer", "record", "kind"),
    [
        ("conll", NESTED, "mentions that overlap"),
        ("conll", PARTED, "discontinuous mentions"),
        ("conll", LINKED, "relations"),
        ("conll", EVENTS, "events"),
        ("conll", Record("r", "en", "a"), "records whose entities are not annotated"),
        ("gliner", PARTED, "discontinuous mentions"),
        ("gliner", LINKED, "relations"),
        ("gliner", EVENTS, "events"),
        ("label-studio", PARTED, "discontinuous mentions"),
        ("label-studio", EVENTS, "events"),
        ("iepile", PARTED, "discontinuous mentions"),
        ("knowcoder", PARTED, "discontinuous mentions"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_or_counted(writer, record, kind, tmp_path):
    path = tmp_path / "out"
    with pytest.raises(KcxError, match=f"record 'r1?': the format {writer} cannot hold {kind}"):
        write_records([record], path, writer=writer)
    assert not path.exists()
    lost = Counter()
    assert write_records([record], path, writer=writer, allow_loss=True, lost=lost) == 1
    assert lost[kind] == 1


def test_what_refers_to_a_mention_left_out_goes_with_it(tmp_path):
    record = replace(PARTED, relations=(RelationLink("Met", "e0", "e3"),), events=())
    lost = Counter()
    write_records([record], tmp_path / "out", writer="knowcoder", allow_loss=True, lost=lost)
    row = json.loads((tmp_path / "out").read_text())
    assert (row["relations"], lost) == ([], {"discontinuous mentions": 1, "relations": 1})


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("x", "must be a list"),
        ([[0, 3]], "leaves out a part of the text"),
        ([[0, 3], [2, 32]], "in its order, that do not overlap"),
        ([[0, 99]], "in its order, that do not overlap"),
        ([[True, 3]], "must be a list"),
    ],
)
def test_tokens_that_do_not_fit_the_text_are_refused(tokens, message, tmp_path):
    record = replace(PLAIN, meta={"source_tokens": tokens})
    with pytest.raises(KcxError, match=rf"record 'r1': meta.source_tokens: .*{message}"):
        write_records([record], tmp_path / "out", writer="gliner")


@pytest.mark.parametrize("writer", sorted(WRITERS))
def test_files_appear_whole_or_not_at_all(writer, tmp_path):
    if writer == "huggingface":
        pytest.importorskip("pyarrow")
    path = tmp_path / "out"
    options = {"writer": writer, "allow_loss": True}
    if writer == "iepile-instructions":
        options["schema"] = load_schema(["Person", "City"])
    damaged = replace(PLAIN, entities=(Mention("e0", "Person", 0, 3, "Eve"),))
    with pytest.raises(KcxError, match=r"entities\[0\].text"):
        write_records([PLAIN, damaged], path, **options)
    assert list(tmp_path.iterdir()) == []
    write_records([PLAIN], path, **options)
    with pytest.raises(KcxError, match="exists already"):
        write_records([PLAIN], path, **options)
    write_records([PLAIN], path, True, **options)


@pytest.mark.parametrize("writer", ["conll", "brat", "huggingface"])
def test_a_lone_surrogate_is_refused_where_only_json_can_hold_it(writer, tmp_path):
    if writer == "huggingface":
        pytest.importorskip("pyarrow")
    with pytest.raises(KcxError, match="record 'r': has a lone surrogate"):
        write_records([Record("r", "en", "a\ud800", ())], tmp_path / "out", writer=writer, allow_loss=True)


@pytest.mark.parametrize("token", ["a\tb", "-DOCSTART-", "\ufeffa"])
def test_a_token_that_no_row_can_hold_is_refused(token, tmp_path):
    record = Record("r", "en", token, (), meta={"source_tokens": [[0, len(token)]]})
    with pytest.raises(KcxError, match="has no place in a row of conll"):
        write_records([record], tmp_path / "out", writer="conll")


def test_brat_names_files_by_the_id(tmp_path):
    ids = ["a/b", "李", "ABC"]
    write_records([Record(key, "en", "x", ()) for key in ids], tmp_path / "out", writer="brat")
    assert len(list((tmp_path / "out").iterdir())) == 6
    for wrong in ([*ids, "abc"], ["." + "x"], ["x" * 300]):
        with pytest.raises(KcxError, match="its id is no file name"):
            write_records([Record(key, "en", "x", ()) for key in wrong], tmp_path / "other", writer="brat")


def test_unknown_writers_and_schemes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown writer 'x'; known: jsonl"):
        write_records([], tmp_path / "out", writer="x")
    with pytest.raises(UsageError, match="unknown tag scheme 'x'; known: bio"):
        write_records([], tmp_path / "out", writer="conll", tag_scheme="x")


@settings(max_examples=30, deadline=None)
@given(st.lists(records(), min_size=1, max_size=3))
def test_datasets_reads_what_is_written_for_it(found):
    datasets = pytest.importorskip("datasets")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out.parquet"
        write_records(found, path, writer="huggingface")
        rows = datasets.Dataset.from_parquet(str(path), cache_dir=folder, keep_in_memory=True)
        for row, record in zip(rows, found, strict=True):
            assert (row["id"], row["text"], json.loads(row["meta"])) == (record.id, record.text, record.meta)
            assert [(m["type"], m["start"], m["end"], m["text"]) for m in row["entities"]] == [
                (m.type, m.start, m.end, m.text) for m in record.entities
            ]
            assert [len(event["arguments"]) for event in row["events"]] == [
                len(e.arguments) for e in record.events
            ]


def test_label_studio_counts_code_points(tmp_path):
    """And is read so, also where the same surface stands at the same number of UTF-16 units."""
    text = "💩aaa"
    record = Record("r", "en", text, (Mention("e0", "X", 2, 3, "a"),))
    write_records([record], tmp_path / "t.json", writer="label-studio")
    value = json.loads((tmp_path / "t.json").read_text())[0]["annotations"][0]["result"][0]["value"]
    assert (value["start"], value["end"]) == (2, 3)
    (back,) = read_records(tmp_path / "t.json", reader="label-studio", inventory=None)
    assert [(m.start, m.end) for m in back.entities] == [(2, 3)]
