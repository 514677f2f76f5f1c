"""Every real file of a format we read, against digests made by a parser written apart from this project."""

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

from kcx_jax.corpora import Record, choose_reader, read_records

FORMATS = {
    "ner/wikineural": "wikineural",
    "ner/uner": "iob2",
    "ner/cluener": "cluener",
    "ner/masakhaner2": "conll",
    "ner/crossner": "conll",
    "ner/wnut17": "conll",
    "ner/ncbi_disease_iob": "conll",
    "ner/bc5cdr_iob": "conll",
    "ner/hiner": "conll",
    "ner/turku_fi": "conll",
    "ner/weibo": "weibo",
    "re/crossre_en": "crossre",
    "re/multi_crossre": "crossre",
    "re/semeval2010_task8": "semeval2010",
    "event/fewfc": "fewfc",
    "event/geneva": "oneie",
    "event/phee/json": "phee",
    "event/phee/brat_test60": "brat",
}
UNLABELLED = "ner/cluener/test.json"


def units(index: int, record: Record, unit: str, listed: dict) -> list[str]:
    """The lines of COUNTS.json for one record, over the corpus's own labels.

    There a discontinuous span runs from its first part to its last as the file lists them, which in a few lines
    of PHEE is backwards: `listed` maps (record id, parts in order) to those ends.
    """
    tokens = record.meta.get("source_tokens", [])
    starts = {span[0]: i for i, span in enumerate(tokens)}
    ends = {span[1]: i + 1 for i, span in enumerate(tokens)}

    def place(span) -> str:
        assert record.text[span.start : span.end] == span.text
        if unit == "token":
            return f"{starts[span.start]}\t{ends[span.end]}"
        start, end = listed.get((record.id, span.spans), (span.start, span.end))
        return f"{start}\t{end}"

    mentions = {mention.id: mention for mention in record.entities or ()}
    meta = record.meta
    if "pair" in meta:  # there the pair in the order of its marks, with `Other` as a relation of that label
        first, second = (place(mentions[key]) for key in meta["pair"]["mentions"])
        return [f"rel\t{index}\t{meta['pair']['label']}\t{first}\t{second}"]
    lines = [f"ent\t{index}\t{place(m)}\t{meta['source_labels'][m.id]}" for m in mentions.values()]
    for link, label in zip(record.relations or (), meta.get("source_relations", ()), strict=True):
        lines.append(f"rel\t{index}\t{label}\t{place(mentions[link.head])}\t{place(mentions[link.tail])}")
    for event, source in zip(record.events or (), meta.get("source_events", ()), strict=True):
        head = f"{index}\t{source['type']}\t{place(event.trigger)}"
        lines.append(f"evt\t{head}")
        for argument, role in zip(event.arguments, source["roles"], strict=True):
            filler = argument if argument.entity is None else mentions[argument.entity]
            lines.append(f"arg\t{head}\t{role}\t{place(filler)}")
    return lines


def backwards(path: Path) -> dict:
    """The spans of a PHEE file whose parts are not in order: (record id, parts in order) -> ends as listed."""
    found = {}

    def walk(key: str, value) -> None:
        if isinstance(value, dict) and "start" in value:
            for words, starts in zip(value["text"], value["start"], strict=True):
                parts = [(at, at + len(word)) for word, at in zip(words, starts, strict=True)]
                if parts != sorted(parts):
                    found[key, tuple(sorted(parts))] = parts[0][0], parts[-1][1]
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(key, child)

    for line in (gzip.open if path.suffix == ".gz" else open)(path, "rb"):
        row = json.loads(line)
        walk(row["id"], row["annotations"])
    return found


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
    seen = set()
    for name, expected in counts.items():
        folder = next((folder for folder in FORMATS if f"{name}/".startswith(f"{folder}/")), None)
        if folder is None:
            continue
        path = shared / "data" / name
        assert choose_reader(path) == FORMATS[folder], name
        listed = backwards(path) if FORMATS[folder] == "phee" else {}
        lines, count = [], 0
        for count, record in enumerate(read_records(path, FORMATS[folder], inventory=None), 1):
            record.check(record.id)
            lines += units(count - 1, record, expected["offset_unit"], listed)
        digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
        assert (digest, count) == (expected["digest"], expected["units"]), name
        seen.add(folder)
    assert seen == set(FORMATS)
    assert set(corpus_files(shared)) - {UNLABELLED} <= set(counts)


def test_what_event_corpora_hold_and_a_record_does_not_is_counted(shared: Path) -> None:
    counts = json.loads((shared / "data/COUNTS.json").read_text("utf-8"))
    for name in ("event/phee/json/dev.json", "event/phee/json/test.json", "event/phee/json/train.json.gz"):
        records = list(read_records(shared / "data" / name))
        aside = sum((Counter(record.meta.get("set_aside", {})) for record in records), Counter())
        quirks = counts[name]["quirks"]
        assert aside["Combination"] == quirks["combination_sub_events"]
        spans = [
            span
            for r in records
            for event in r.events
            for span in (event.trigger, *event.arguments)
            if span.spans
        ]
        assert len(spans) == quirks["discontinuous_spans"]
    brat = list(read_records(shared / "data/event/phee/brat_test60"))
    aside = sum((Counter(record.meta.get("set_aside", {})) for record in brat), Counter())
    assert aside == {"attributes": 7, "relations on events": 1}
    assert sum(1 for r in brat for m in r.entities if m.spans) == 4


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
