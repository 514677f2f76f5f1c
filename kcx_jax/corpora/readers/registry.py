"""The readers by name, and the choice among them by looking at the content."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from kcx_jax.corpora.jsonl import read_jsonl
from kcx_jax.corpora.lines import read_lines
from kcx_jax.corpora.readers.brat import SUFFIXES, document_pairs, read_brat
from kcx_jax.corpora.readers.cluener import read_cluener
from kcx_jax.corpora.readers.columns import TEXT_COMMENT, is_tag, split_columns
from kcx_jax.corpora.readers.conll import is_apart, is_tabbed, read_conll
from kcx_jax.corpora.readers.conllu import misc_tag, read_conllu
from kcx_jax.corpora.readers.fewfc import read_fewfc
from kcx_jax.corpora.readers.iob2 import read_iob2
from kcx_jax.corpora.readers.multiconer import HEAD, read_multiconer
from kcx_jax.corpora.readers.oneie import read_oneie
from kcx_jax.corpora.readers.options import LabelMap, Options, RoleMap
from kcx_jax.corpora.readers.panx import PREFIXED, read_panx
from kcx_jax.corpora.readers.phee import read_phee
from kcx_jax.corpora.readers.weibo import read_weibo, split_positions
from kcx_jax.corpora.readers.wikineural import read_wikineural
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError, UsageError

_LOG = logging.getLogger(__name__)
_SAMPLE_LINES = 500


@dataclass(frozen=True)
class Reader:
    """A format: how it is read, and the inventory its labels belong to (None: kept as they are).

    `columns`: whether the caller may say which columns hold the tags.
    """

    read: Callable[[Path, Options], Iterator[Record]]
    inventory: str | None
    columns: bool = False


def _read_jsonl(path: Path, options: Options) -> Iterator[Record]:
    for record in read_jsonl(path):
        undetermined = record.language == "und" and options.language is not None
        yield replace(record, language=options.tag) if undetermined else record


READERS = {
    "jsonl": Reader(_read_jsonl, None),
    "wikineural": Reader(read_wikineural, "wikineural", columns=True),
    "iob2": Reader(read_iob2, "uner", columns=True),
    "conll": Reader(read_conll, None, columns=True),
    "conllu": Reader(read_conllu, None),
    "multiconer": Reader(read_multiconer, None),
    "panx": Reader(read_panx, "wikiann"),
    "weibo": Reader(read_weibo, "weibo"),
    "cluener": Reader(read_cluener, "cluener"),
    "fewfc": Reader(read_fewfc, "fewfc"),
    "phee": Reader(read_phee, "phee"),
    "oneie": Reader(read_oneie, None),
    "brat": Reader(read_brat, None),
}

# What the first line of an event corpus holds that no other format's does.
_EVENT_KEYS: dict[str, dict[str, type]] = {
    "fewfc": {"content": str, "events": list},
    "phee": {"context": str, "annotations": list},
    "oneie": {"tokens": list, "event_mentions": list},
}


def read_records(
    path: str | Path,
    reader: str = "auto",
    language: str | None = None,
    *,
    inventory: str | None = "default",
    joiner: str | None = None,
    columns: Sequence[int] = (),
) -> Iterator[Record]:
    """Read a corpus as a stream of records.

    Args:
        path: the file, read through gzip when its name ends in .gz; for `brat` also a folder.
        reader: a name of `READERS`, or "auto" to choose by the content (logged at level INFO).
        language: BCP 47 tag for records that do not say theirs; it also decides how tokens are joined.
        inventory: which inventory of the ontology maps the corpus's labels to class names, by its name or the
            path of your own (``my.yaml``); "default" is the reader's own, None keeps the labels (with "-", "."
            and the like as "_"). The labels as the corpus spells them are in ``meta``: ``source_labels`` by
            entity id, ``source_relations`` and ``source_events`` in the order of the record's.
        joiner: what to put between tokens where the original text is not in the file (None: by language).
        columns: which columns hold the tags, counted from 1; several are layers of one annotation, all read.
            Empty: the reader's own. Only readers of tables with several such columns take them.

    Raises `UsageError` for an unknown reader or columns it has not, `KcxError` naming file and line
    for what cannot be read.
    """
    path = Path(path)
    name = choose_reader(path) if reader == "auto" else reader
    if name not in READERS:
        raise UsageError(f"unknown reader {name!r}; known: auto, {', '.join(READERS)}")
    chosen = READERS[name]
    if columns and not chosen.columns:
        takers = ", ".join(key for key, entry in READERS.items() if entry.columns)
        raise UsageError(f"the reader {name} takes no columns; those that do: {takers}")
    if any(column < 1 for column in columns):
        raise UsageError(f"columns are counted from 1, got {', '.join(map(str, columns))}")
    labels = LabelMap(chosen.inventory if inventory == "default" else inventory)
    return chosen.read(path, Options(language, joiner, tuple(columns), labels, RoleMap(labels.inventory)))


def choose_reader(path: str | Path) -> str:
    """The name of the one reader whose format the content of `path` has; `KcxError` if that is not clear."""
    path = Path(path)
    if path.is_dir() or (path.suffix in SUFFIXES and path.with_suffix(".ann").is_file()):
        document_pairs(path)
        _LOG.info("%s: read as brat", path)
        return "brat"
    lines = [line for _, line in islice(read_lines(path), _SAMPLE_LINES)]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise KcxError(f"{path}: is empty; name the reader to read it all the same ({', '.join(READERS)})")
    name, doubt = _by_json(filled[0]) if filled[0].lstrip().startswith("{") else _by_columns(filled)
    if name is None:
        raise KcxError(f"{path}: cannot tell its format ({doubt}). Name the reader: {', '.join(READERS)}")
    _LOG.info("%s: read as %s", path, name)
    return name


def _by_json(line: str) -> tuple[str | None, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None, "its first line opens like JSON and is not"
    if isinstance(row.get("label"), dict) and "text" in row:
        return "cluener", ""
    for name, keys in _EVENT_KEYS.items():
        if all(isinstance(row.get(key), kind) for key, kind in keys.items()):
            return name, ""
    if "source" in row and "target" in row:
        return None, "these are pairs of records; read them as parallel data"
    if isinstance(row.get("id"), str) and "text" in row:
        return "jsonl", ""
    return None, f"JSON lines with the keys {', '.join(row)}"


def _by_columns(lines: list[str]) -> tuple[str | None, str]:
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    if any(misc_tag(row) is not None for row in rows):
        return "conllu", ""
    if any(line.startswith(TEXT_COMMENT) for line in lines):
        rows = [line.split("\t") for line in lines if not line.startswith("# ")]
        if all(len(row) >= 3 and is_tag(row[2]) for row in rows):
            return "iob2", ""
        return None, (
            "it has `# text =` lines, but rows that are not `id TAB token TAB tag`, nor CoNLL-U with a tag in MISC"
        )
    if rows and all(len(row) > 2 and row[0].isdecimal() and is_tag(row[2]) for row in rows):
        return "wikineural", ""
    tabbed = is_tabbed(lines)
    rows = [split_columns(line) for line in lines if not is_apart(line, tabbed)]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or widths == {1} or not all(is_tag(row[-1]) for row in rows):
        return None, "its lines are neither JSON nor columns that end in a tag"
    return _by_token(lines, rows, tabbed), ""


def _by_token(lines: list[str], rows: list[list[str]], tabbed: bool) -> str:
    """The reader of rows that end in a tag, by what stands before it."""
    tokens, width = [row[0] for row in rows], len(rows[0])
    if tabbed and width == 2 and None not in split_positions(tokens):
        return "weibo"
    if tabbed and width == 2 and all(map(PREFIXED.fullmatch, tokens)):
        return "panx"
    if width == 4 and all(row[1:3] == ["_", "_"] for row in rows) and lines[0].startswith(HEAD):
        return "multiconer"
    return "conll"
