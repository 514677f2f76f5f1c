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
}


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


def test_every_file_reads_as_the_independent_parser_read_it(shared: Path) -> None:
    counts = json.loads((shared / "data/COUNTS.json").read_text("utf-8"))
    seen = set()
    for name, expected in counts.items():
        corpus = name.split("/")[1]
        if not name.startswith("ner/") or corpus not in FORMATS:
            continue
        path = shared / "data" / name
        assert choose_reader(path) == FORMATS[corpus], name
        assert digest(path, FORMATS[corpus], expected["offset_unit"]) == (
            expected["digest"],
            expected["units"],
        ), name
        seen.add(corpus)
    assert seen == set(FORMATS)
