"""Real corpora as their repositories have them, each below a folder of its own, and what they are annotated for."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora import Record, read_records
from kcx_jax.schema import TASKS, Schema, Task, ontology

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


def corpora_in(root: Path) -> Iterator[tuple[str, Schema, list[Record]]]:
    """Each corpus of `FOLDERS`: its folder, its inventory's schema, and all records in the order of its files' names.

    Says on stderr which are not there.
    """
    for folder, (reader, inventory) in FOLDERS.items():
        if not (root / folder).is_dir():
            print(f"{folder}: not there", file=sys.stderr)
            continue
        paths = _files_of(root / folder)
        records = [each for path in paths for each in read_records(path, reader, inventory=inventory)]
        yield folder, ontology.schema_for(inventory), records


def tasks_of(schema: Schema, records: Sequence[Record]) -> Iterator[Task]:
    """What the schema has classes for, and the records an annotation."""
    classes = {"ner": schema.entities, "re": schema.relations, "ed": schema.events, "eae": schema.events}
    for task in TASKS:
        if classes[task] and any(getattr(record, _LAYERS[task]) is not None for record in records):
            yield task
