"""Each format in a few lines, its quirks, and the choice among readers."""

import gzip
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import choose_reader, read_records
from kcx_jax.corpora.readers.columns import join_tokens, tagged_spans
from kcx_jax.errors import KcxError, UsageError

WIKINEURAL = "0\tAda\tB-PER\n1\tLovelace\tI-PER\n2\tslept\tO\n\n0\tRome\tI-LOC\n1\tParis\tB-LOC\n"
IOB2 = (
    "# newdoc id = 1\n# sent_id = 1\n# text = Ada's  1 000 cats\n"
    "1\tAda\tB-PER\t-\tx\n2\t's\tO\t-\tx\n3\t1 000\tO\t-\tx\n4\tcats\tB-OTH\t-\tx\n"
)
CONLL = "-DOCSTART- O\n\n# id 7 domain=x\nAda B-PER\n# O\nRome B-LOC\n \nhi O"
CLUENER = '{"text": "彭小军在台湾", "label": {"address": {"台湾": [[4, 5]]}, "name": {"彭小军": [[0, 2]]}}}\n'


def read(tmp_path, content, reader="auto", name="test.x.conll", **options):
    path = tmp_path / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return list(read_records(path, reader, **options))


def spans(record):
    return [(m.type, m.text, m.start) for m in record.entities]


def test_wikineural(tmp_path):
    first, second = read(tmp_path, WIKINEURAL)
    assert first.text == "Ada Lovelace slept"
    assert spans(first) == [("Person", "Ada Lovelace", 0)]
    assert spans(second) == [("Location", "Rome", 0), ("Location", "Paris", 5)]
    assert (first.id, second.id, first.language) == ("test.x-0", "test.x-1", "und")
    assert first.meta == {
        "source": "test.x.conll",
        "source_tokens": [[0, 3], [4, 12], [13, 18]],
        "source_labels": {"e0": "PER"},
    }


def test_iob2_offsets_are_those_of_the_original_text(tmp_path):
    (record,) = read(tmp_path, IOB2, name="a.iob2.gz", language="en")
    assert record.text == "Ada's  1 000 cats"
    assert spans(record) == [("Person", "Ada", 0), ("Other", "cats", 13)]
    assert record.meta["source_tokens"] == [[0, 3], [3, 5], [7, 12], [13, 17]]
    assert (record.id, record.language) == ("a-0", "en")


def test_conll_with_comments_heads_and_tokens_that_look_like_comments(tmp_path):
    first, second = read(tmp_path, CONLL, inventory="uner")
    assert (first.text, second.text) == ("Ada # Rome", "hi")
    assert spans(first) == [("Person", "Ada", 0), ("Location", "Rome", 6)]
    assert second.entities == ()


def test_cluener_and_its_unlabelled_test_set(tmp_path):
    (record,) = read(tmp_path, CLUENER, language="zh")
    assert spans(record) == [("Person", "彭小军", 0), ("Address", "台湾", 4)]
    assert record.meta["source_labels"] == {"e0": "name", "e1": "address"}
    (blind,) = read(tmp_path, '{"id": 0, "text": "彭小军"}\n', "cluener")
    assert blind.entities is None


@pytest.mark.parametrize(
    ("language", "joiner", "text"),
    [
        ("zh", None, "李白来京"),
        ("zh-TW", None, "李白来京"),
        ("zh_CN", None, "李白来京"),
        ("ZH", None, "李白来京"),
        ("yue", None, "李白来京"),
        ("wuu-Hans", None, "李白来京"),
        ("ko", None, "李白 来 京"),
        (None, None, "李白 来 京"),
        ("zh", " ", "李白 来 京"),
        ("zh", " · ", "李白 · 来 · 京"),
    ],
)
def test_tokens_are_joined_as_the_language_is_written(language, joiner, text, tmp_path):
    (record,) = read(tmp_path, "李白\tB-PER\n来\tO\n京\tB-LOC\n", language=language, joiner=joiner)
    assert record.text == text
    assert spans(record) == [("PER", "李白", 0), ("LOC", "京", text.index("京"))]


@given(st.lists(st.text(min_size=1), max_size=6), st.text(max_size=3))
def test_offsets_of_joined_tokens_are_where_the_tokens_stand(tokens, joiner):
    text, offsets = join_tokens(tokens, joiner)
    assert [text[start:end] for start, end in offsets] == tokens
    assert all(text[end:start] == joiner for (_, end), (start, _) in pairwise(offsets))
    assert sum(map(len, tokens)) + len(joiner) * max(0, len(tokens) - 1) == len(text)


@pytest.mark.parametrize("reader", ["wikineural", "iob2", "conll", "cluener"])
def test_crlf_and_a_byte_order_mark_change_nothing(reader, tmp_path):
    content = {"wikineural": WIKINEURAL, "iob2": IOB2, "conll": CONLL, "cluener": CLUENER}[reader]
    plain = read(tmp_path, content)
    assert read(tmp_path, b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode()) == plain


def test_tags_are_read_leniently():
    tags = ["I-A", "I-A", "I-B", "B-B", "E-B", "I-B", "O", "I-B", "S-A", "I-A"]
    assert tagged_spans(tags) == [
        (0, 2, "A"),
        (2, 3, "B"),
        (3, 5, "B"),
        (5, 6, "B"),
        (7, 8, "B"),
        (8, 9, "A"),
        (9, 10, "A"),
    ]


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        ("wikineural", "0\tAda\tO\n2\tx\tO\n", ":2: expected `1 TAB token TAB tag`"),
        ("wikineural", "0\tAda\tPER\n", ":1: 'PER' is no tag"),
        ("wikineural", "0\tAda\tB-GPE\n", ":1: inventory 'wikineural' has no class for the label 'GPE'"),
        ("iob2", "1\tAda\tO\n", ":1: a sentence with 0 lines `# text = ...`"),
        (
            "iob2",
            "# text = Ada\n1\tAdda\tO\n",
            ":2: the token 'Adda' does not stand in the text at character 0",
        ),
        ("iob2", "# text = Ada\n1\tAda\n", ":2: expected `id TAB token TAB tag"),
        ("conll", "Ada O\n\nAda O x\n", ":3: 3 columns where 2 were expected"),
        ("conll", "Ada\n", ":1: 1 columns where 2 were expected"),
        ("conll", "Ada B-人\n", ":1: the label '人' is no class name"),
        ("conll", "a B-x.y\n\nb B-x-y\n", ":3: the labels 'x.y' and 'x-y' would both become x_y"),
        (
            "cluener",
            CLUENER + CLUENER.replace("5", "6"),
            ":2: label.address: '台湾' is not at [4, 6]",
        ),
        (
            "cluener",
            '{"text": "ab", "label": {"name": {"b": [[-1, 1]]}}}',
            ":1: label.name: 'b' is not at",
        ),
        (
            "cluener",
            '{"text": "ab", "label": {"name": ["b"]}}',
            ":1: label.name: must be an object, not a list",
        ),
    ],
)
def test_what_cannot_be_lined_up_is_named(reader, content, message, tmp_path):
    with pytest.raises(KcxError) as error:
        read(tmp_path, content, reader)
    assert str(error.value).startswith(f"{tmp_path / 'test.x.conll'}{message}")


@pytest.mark.parametrize(
    ("content", "reader"),
    [
        (WIKINEURAL, "wikineural"),
        (IOB2, "iob2"),
        (CONLL, "conll"),
        ("3 O\n", "conll"),
        (CLUENER, "cluener"),
        (json.dumps({"id": "1", "text": ""}), "jsonl"),
    ],
)
def test_the_reader_is_chosen_by_content(content, reader, tmp_path):
    path = tmp_path / "anything"
    path.write_text(content, encoding="utf-8")
    assert choose_reader(path) == reader


@pytest.mark.parametrize(
    ("content", "doubt"),
    [
        ("", "is empty"),
        ("Just a line of text.\n", "neither JSON nor columns"),
        ("Ada B-PER\nRome\n", "neither JSON nor columns"),
        ('{"id": 0, "text": "a"}', "JSON objects with the keys id, text"),
        ('{"id": "1", "source": {}, "target": {}}', "pairs of records"),
        ('{"id": ', "opens like JSON and is not"),
        ("# text = a\nb c\n", "rows that are not"),
        ('{"text": "a", "entities": [null]}', "JSON objects with the keys text, entities"),
        ('{"text": "a", "entities": ["start_offset"]}', "JSON objects with the keys text, entities"),
    ],
)
def test_in_doubt_no_reader_is_chosen(content, doubt, tmp_path):
    path = tmp_path / "anything"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(KcxError, match=doubt):
        read_records(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ["a"]}, r"result\[0\]\.id: must be a string, not a list"),
        ({"id": {}}, r"result\[0\]\.id: must be a string, not an object"),
        (
            {"value": {"start": 0, "end": 1, "text": "a", "labels": 3}},
            r"labels: must be a list, not a number",
        ),
        (
            {"value": {"start": 0, "end": 1, "text": "a", "labels": "PER"}},
            r"labels: must be a list, not a string",
        ),
        (
            {"type": "relation", "from_id": "r", "to_id": "r", "labels": 3},
            r"labels: must be a list, not a number",
        ),
    ],
)
def test_a_region_that_label_studio_does_not_write_is_named(change, message, tmp_path):
    region = {"id": "r", "type": "labels", "value": {"start": 0, "end": 1, "text": "a", "labels": ["PER"]}}
    regions = [region | change, region] if "type" in change else [region | change]
    task = {"data": {"text": "a"}, "annotations": [{"result": regions}]}
    with pytest.raises(KcxError, match=message) as error:
        read(tmp_path, json.dumps([task]), "label-studio")
    assert str(error.value).startswith(f"{tmp_path / 'test.x.conll'}:1: annotations[0].result[0].")


def test_an_unknown_reader_is_refused_at_once(tmp_path):
    with pytest.raises(UsageError, match="known: auto, jsonl"):
        read_records(tmp_path / "a", "conl")


def test_a_language_is_given_to_records_that_do_not_say_theirs(tmp_path):
    lines = [{"id": "1", "text": "a"}, {"id": "2", "language": "en", "text": "a"}]
    content = "\n".join(map(json.dumps, lines))
    assert [record.language for record in read(tmp_path, content, language="zh")] == ["zh", "en"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("layout", ["lines", "array", "pretty array", "objects"])
def test_json_is_read_however_the_file_lays_it_out(layout, suffix, tmp_path):
    rows = [{"text": "a [b", "label": {}}, {"text": "“c”, ]", "label": {"name": {"c": [[1, 1]]}}}]
    content = {
        "lines": "".join(json.dumps(row) + "\r\n" for row in rows),
        "array": json.dumps(rows),
        "pretty array": json.dumps(rows, indent=2, ensure_ascii=False),
        "objects": "\n".join(json.dumps(row, indent=2) for row in rows),
    }[layout]
    path = tmp_path / f"anything{suffix}"
    path.write_bytes((gzip.compress if suffix else bytes)("\ufeff".encode() + content.encode()))
    assert choose_reader(path) == "cluener"
    assert [record.text for record in read_records(path)] == [row["text"] for row in rows]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('[{"text": "a"},\n{"text": }]', "2: not JSON: Expecting value"),
        ('[{"text": "a"}\n{"text": "b"}]', "2: not JSON: the array does not go on with a comma"),
        ('[{"text": "a"}', "1: not JSON: the array does not go on with a comma"),
        ('[{"text": "a"},\n]', "2: not JSON: Expecting value"),
        ('[{"text": "a"}]\n7', "2: not JSON: something follows"),
        ('{"text": "a"}\n{"text": NaN}', "2: not JSON: NaN is no JSON number"),
        ("{\n" + '"a": [' + "[" * 100_000, "1: not JSON: maximum recursion|1: not JSON: nested"),
        ('[\n7,\n"a"]', "2: must be an object, not a number"),
    ],
)
def test_damage_to_a_json_document_is_named_by_its_line(content, place, tmp_path):
    path = tmp_path / "damaged"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(KcxError, match=f"^{path}:({place})"):
        list(read_records(path, "cluener"))
