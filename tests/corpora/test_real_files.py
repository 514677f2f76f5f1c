"""Every real file of a format we read, against digests made by a parser written apart from this project."""

import hashlib
import json
from pathlib import Path

from kcx_jax.corpora import choose_reader, read_records

FORMATS = {
    "wikineural": "wikineural",
    "uner": "iob2",
    "cluener": "cluener",
    "masakhaner2": "conll",
    "crossner": "conll",
    "wnut17": "conll",
    "ncbi_disease_iob": "conll",
    "bc5cdr_iob": "conll",
    "hiner": "conll",
    "turku_fi": "conll",
    "weibo": "weibo",
}
UNLABELLED = "ner/cluener/test.json"


def digest(path: Path, reader: str, unit: str) -> tuple[str, int]:
    """The digest of COUNTS.json over the corpus's own labels, and how many records there are."""
    lines, count = [], 0
    for count, record in enumerate(read_records(path, reader, inventory=None), 1):
        starts = {span[0]: i for i, span in enumerate(record.meta.get("source_tokens", []))}
        ends = {span[1]: i + 1 for i, span in enumerate(record.meta.get("source_tokens", []))}
        for mention in record.entities or ():
            assert record.text[mention.start : mention.end] == mention.text
            start, end = mention.start, mention.end
            if unit == "token":
                start, end = starts[start], ends[end]
            label = record.meta["source_labels"][mention.id]
            lines.append(f"ent\t{count - 1}\t{start}\t{end}\t{label}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(), count


def corpus_files(shared: Path) -> dict[str, Path]:
    """Every file of NER by its name in COUNTS.json, notices left out."""
    data = shared / "data"
    return {
        str(path.relative_to(data)): path
        for path in sorted((data / "ner").rglob("*"))
        if path.is_file() and path.name != "NOTICE.txt"
    }


def test_every_file_reads_as_the_independent_parser_read_it(shared: Path) -> None:
    counts = json.loads((shared / "data/COUNTS.json").read_text("utf-8"))
    for name, path in corpus_files(shared).items():
        if name == UNLABELLED:
            continue
        reader = FORMATS[name.split("/")[1]]
        expected = counts[name]
        assert choose_reader(path) == reader, name
        assert digest(path, reader, expected["offset_unit"]) == (expected["digest"], expected["units"]), name


def test_the_unlabelled_file_reads_as_not_annotated(shared: Path) -> None:
    path = corpus_files(shared)[UNLABELLED]
    records = list(read_records(path, "cluener"))
    assert [record.text for record in records] == [
        json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()
    ]
    assert {record.entities for record in records} == {None}


def test_weibo_holds_as_many_characters_as_rows(shared: Path) -> None:
    """One character a row, but for what was damaged into several U+FFFD."""
    for split in ("train", "dev", "test"):
        path = shared / f"data/ner/weibo/weiboNER_2nd_conll.{split}"
        rows = [line for line in path.read_text("utf-8").split("\n") if line.strip()]
        text = "".join(record.text for record in read_records(path))
        assert len(text.replace("\ufffd", "")) == sum("\ufffd" not in row for row in rows)
        assert text.count("\ufffd") == sum(row.count("\ufffd") for row in rows)


def test_both_layers_of_the_danish_column_are_read(shared: Path) -> None:
    """Each B- in either half opens a mention, and each I- does that follows none of its own."""
    path = shared / "data/ner/uner/da_ddt-ud-test.iob2"
    labels = [
        label
        for record in read_records(path, inventory=None, columns=[4])
        for label in record.meta["source_labels"].values()
    ]
    sentences = path.read_text("utf-8").split("\n\n")
    rows = [[row.split("\t")[3] for row in s.split("\n") if row and row[0] != "#"] for s in sentences]
    opened = []
    for half in (0, 1):
        for cells in rows:
            tags = [cell.split("#")[half] for cell in cells]
            opened += [
                tag[2:]
                for before, tag in zip(["O", *tags], tags, strict=False)
                if tag[0] == "B" or (tag[0] == "I" and before[2:] != tag[2:])
            ]
    assert sorted(labels) == sorted(opened)
    assert len(labels) > 447  # the first layer's, by COUNTS.json


def test_the_text_of_universal_ner_is_the_comment_and_its_id_the_corpus_own(shared: Path) -> None:
    path = shared / "data/ner/uner/en_ewt-ud-dev.iob2"
    lines = path.read_text("utf-8").split("\n")
    records = list(read_records(path))
    assert [record.text for record in records] == [x[9:] for x in lines if x.startswith("# text = ")]
    assert [record.meta["source_id"] for record in records] == [
        x[12:] for x in lines if x.startswith("# sent_id = ")
    ]


def test_decomposed_diacritics_are_neither_composed_nor_shifted(shared: Path) -> None:
    path = shared / "data/ner/masakhaner2/yor/test.txt"
    rows = path.read_text("utf-8").split("\n")
    tokens = [row.rsplit(" ", 1)[0] for row in rows if row.strip()]
    assert any("\u0301" in token for token in tokens)
    read = [
        record.text[start:end] for record in read_records(path) for start, end in record.meta["source_tokens"]
    ]
    assert read == tokens
