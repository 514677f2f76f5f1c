"""The catalogue agrees with the readers, the ontology and the real files."""

import csv
import gzip
import hashlib
import json
import re

import pytest

from kcx_jax.corpora import catalogue
from kcx_jax.corpora.catalogue import find_benchmark, read_entries
from kcx_jax.corpora.on_disk import files_on_disk
from kcx_jax.corpora.readers.registry import READERS
from kcx_jax.errors import UsageError
from kcx_jax.schema import ontology
from kcx_jax.schema.concepts import Kind

# Inventories that are of no benchmark by itself: labels as people write them, and the brat form of PHEE.
APART = {"any", "phee-brat"}
KINDS: dict[str, Kind] = {"ner": "entity", "re": "relation", "ed": "event", "eae": "event"}

ENTRY = """
- name: tiny
  title: Tiny
  tasks: [ner]
  languages: [en, zh]
  folders: {zh: chinese}
  parts: [a, b]
  url: https://example.org/tiny
  splits:
    train: {path: "{language}/{part}.txt", size: 3}
    test: {size: 4}
"""


def test_entries_are_whole():
    for entry in catalogue():
        assert entry.tasks
        assert entry.languages
        assert entry.reader is None or entry.reader in READERS
        assert set(entry.folders) <= set(entry.languages)
        assert entry.sha256.keys() <= {path for _, path in entry.files()}
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in entry.sha256.values())
        # A path and a checksum mean something at one commit only.
        assert bool(list(entry.files())) == (entry.commit is not None) or entry.name == "diann"


def test_every_inventory_is_named_by_an_entry_and_holds_what_the_entry_is_about():
    named = {entry.inventory for entry in catalogue()} - {None}
    assert named == set(ontology.inventories()) - APART
    for entry in catalogue():
        for task in entry.tasks if entry.inventory else ():
            assert ontology.labels_of(entry.inventory, KINDS[task]), (entry.name, task)


def test_an_entry_without_an_inventory_says_why():
    for entry in catalogue():
        reason = re.search("no inventory, because .{20}", entry.note or "")
        assert bool(entry.inventory) != bool(reason), entry.name


def test_a_text_that_must_be_asked_for_says_what_to_ask_for():
    for entry in catalogue():
        if entry.licence and "LDC" in entry.licence:
            assert re.search(r"LDC\d{4}[TE]\d+", entry.obtain)


def test_the_lists_of_the_field_are_there():
    names = {entry.name for entry in catalogue()}
    assert {"multiconer22", "masakhaner2", "wikiann", "hiner", "turku-fi", "multi-crossre", "geneva"} <= names
    assert len(find_benchmark("masakhaner2").languages) == 20
    assert sum(name.startswith("uner-") for name in names) >= 18


def test_paths_are_expanded_by_language_and_part():
    (entry,) = read_entries(ENTRY, "x.yaml")
    assert list(entry.files()) == [
        ("train", f"{folder}/{part}.txt") for folder in ("en", "chinese") for part in "ab"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("tasks: [ner]", "tasks: [nerd]"), "x.yaml: tiny: key tasks.0: "),
        (("  title: Tiny\n", ""), "x.yaml: tiny: key title: "),
        (("title: Tiny", "titel: Tiny"), "x.yaml: tiny: key title"),
        (("size: 4", "sise: 4"), "x.yaml: tiny: key splits.test.sise: "),
        (("size: 4", "size: many"), "x.yaml: tiny: key splits.test.size: "),
        (("- name: tiny", "- name: [1]"), "key name: "),
        ((ENTRY, "name: tiny"), "x.yaml: a list of benchmarks"),
        ((ENTRY, "- tiny"), "x.yaml: a list of benchmarks"),
    ],
)
def test_a_wrong_entry_is_named_with_its_key(change, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        read_entries(ENTRY.replace(*change), "x.yaml")


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(UsageError, match=r"did you mean.*conll03"):
        find_benchmark("conll3")


def test_the_state_of_files_on_disk(tmp_path):
    (entry,) = read_entries(ENTRY + "  sha256:\n" + "".join(
        f"    {path}: {hashlib.sha256(content).hexdigest()}\n"
        for path, content in {"en/a.txt": b"1", "en/b.txt": b"2", "chinese/a.txt": b"3"}.items()
    ), "x.yaml")  # fmt: skip
    assert [file.state for file in files_on_disk(entry, tmp_path)] == ["missing"] * 4
    for folder in ("en", "chinese"):
        (tmp_path / "tiny" / folder).mkdir(parents=True)
    (tmp_path / "tiny/en/a.txt").write_bytes(b"1")
    (tmp_path / "tiny/en/b.txt.gz").write_bytes(gzip.compress(b"2"))
    (tmp_path / "tiny/chinese/a.txt.gz").write_bytes(gzip.compress(b"3")[:-6])
    (tmp_path / "tiny/chinese/b.txt").write_bytes(b"")
    found = files_on_disk(entry, tmp_path)
    assert [file.state for file in found] == ["right", "right", "wrong", "unchecked"]
    (tmp_path / "tiny/en/a.txt").write_bytes(b"2")
    assert files_on_disk(entry, tmp_path)[0].state == "wrong"
    with pytest.raises(UsageError, match="no folder"):
        files_on_disk(entry, tmp_path / "nowhere")


def test_a_benchmark_without_known_files_is_its_folder(tmp_path):
    entry = find_benchmark("ace05-ner")
    assert [file.state for file in files_on_disk(entry, tmp_path)] == ["missing"]
    (tmp_path / "ace05-ner").mkdir()
    assert [file.state for file in files_on_disk(entry, tmp_path)] == ["missing"]
    (tmp_path / "ace05-ner" / "x").touch()
    assert [file.state for file in files_on_disk(entry, tmp_path)] == ["unchecked"]


@pytest.fixture
def real(shared):
    """(repository, commit, path) -> the row of the manifest, for files that are whole."""
    with (shared / "data/MANIFEST.tsv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    return {(row["repository"], row["commit"], row["path"]): row for row in rows if row["cut"] == "whole"}


def known(entry, real):
    """The (path, row) of the entry's files that are at hand."""
    repository = (entry.url or "").removeprefix("https://github.com/")
    for _, path in entry.files():
        if row := real.get((repository, entry.commit, path)):
            yield path, row


def test_checksums_are_those_of_the_real_files(real, shared):
    checked = 0
    for entry in catalogue():
        for path, row in known(entry, real):
            if path in entry.sha256:
                file = shared / "data" / row["file"]
                raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
                assert hashlib.sha256(raw).hexdigest() == entry.sha256[path], path
                checked += 1
    assert checked > 60


def test_sizes_are_those_that_another_program_counted(real, shared):
    counts = json.loads((shared / "data/COUNTS.json").read_text(encoding="utf-8"))
    checked = 0
    for entry in catalogue():
        rows = dict(known(entry, real))
        for name, split in entry.splits.items():
            paths = [path for at, path in entry.files() if at == name]
            if split.size is not None and paths and all(path in rows for path in paths):
                units = sum(
                    counts[rows[path]["file"]]["units"] for path in paths if rows[path]["file"] in counts
                )
                if all(rows[path]["file"] in counts for path in paths):
                    assert split.size == units, f"{entry.name} {name}"
                    checked += 1
    assert checked > 30
