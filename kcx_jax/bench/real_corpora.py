"""Real corpora as their repositories have them, each below a folder of its own, and what they are annotated for."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora import Record, read_records
from kcx_jax.schema import TASKS, Schema, Task

FOLDERS = {
    "ner/wikineural": ("wikineural", "wikineural"),
    "ner/cluener": ("cluener", "cluener"),
    "ner/weibo": ("weibo", "weibo"),
    "ner/uner": ("iob2", "uner"),
    "ner/masakhaner2": ("conll", "masakhaner2"),
    "ner/crossner/ai": ("conll", "crossner-ai"),
    "ner/crossner/literature": ("conll", "crossner-literature"),
    "ner/crossner/music": ("conll", "crossner-music"),
    "ner/crossner/politics": ("conll", "crossner-politics"),
    "ner/crossner/science": ("conll", "crossner-science"),
    "ner/wnut17": ("conll", "wnut17"),
    "ner/ncbi_disease_iob": ("conll", "ncbi-disease"),
    "ner/bc5cdr_iob": ("conll", "bc5cdr"),
    "ner/hiner": ("conll", "hiner"),
    "ner/turku_fi": ("conll", "turku"),
    "re/semeval2010_task8": ("semeval2010", "semeval2010-task8"),
    "re/crossre_en": ("crossre", "crossre"),
    "re/multi_crossre": ("crossre", "crossre"),
    "event/fewfc": ("fewfc", "fewfc"),
    "event/phee/json": ("phee", "phee"),
    "event/phee/brat_test60": ("brat", "phee-brat"),
    "event/geneva": ("oneie", "geneva"),
}
"""Folder of the corpora -> its reader, and the inventory of its labels, which is that of its schema."""

_LAYERS: dict[Task, str] = {"ner": "entities", "re": "relations", "ed": "events", "eae": "events"}


def _files_of(folder: Path) -> list[Path]:
    """The corpus's files; a folder of brat documents is one corpus."""
    if any(folder.glob("*.ann")):
        return [folder]
    return [
        path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("NOTICE")
    ]


def records_of(folder: Path, reader: str, inventory: str) -> Iterator[Record]:
    """All records of a corpus, in the order of its files' names."""
    for path in _files_of(folder):
        yield from read_records(path, reader, inventory=inventory)


def tasks_of(schema: Schema, records: Sequence[Record]) -> Iterator[Task]:
    """What the schema has classes for, and the records an annotation."""
    classes = {"ner": schema.entities, "re": schema.relations, "ed": schema.events, "eae": schema.events}
    for task in TASKS:
        if classes[task] and any(getattr(record, _LAYERS[task]) is not None for record in records):
            yield task
