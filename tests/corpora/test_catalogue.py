"""The catalogue agrees with the readers and with the real files."""

import csv
import gzip
import hashlib

from kcx_jax.corpora import catalogue
from kcx_jax.corpora.readers.registry import READERS
from kcx_jax.schema import TASKS


def test_entries_are_whole():
    names = [entry.name for entry in catalogue()]
    assert len(set(names)) == len(names)
    for entry in catalogue():
        assert entry.reader in READERS
        assert entry.task in TASKS
        assert entry.languages
        paths = {path.format(language=code) for path in entry.splits.values() for code in entry.languages}
        assert set(entry.sha256) <= paths


def test_checksums_are_those_of_the_real_files(shared):
    with (shared / "data/MANIFEST.tsv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    files = {(row["repository"], row["commit"], row["path"]): row["file"] for row in rows}
    checked = 0
    for entry in catalogue():
        for path, expected in entry.sha256.items():
            file = shared / "data" / files[entry.url.removeprefix("https://github.com/"), entry.commit, path]
            raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            assert hashlib.sha256(raw).hexdigest() == expected, path
            checked += 1
    assert checked > 30
