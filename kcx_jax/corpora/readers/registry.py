"""The readers by name; which of them a file needs is told by `detection`."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kcx_jax.corpora.jsonl import read_jsonl
from kcx_jax.corpora.readers.ace_json import read_ace_json
from kcx_jax.corpora.readers.brat import read_brat
from kcx_jax.corpora.readers.casie import read_casie
from kcx_jax.corpora.readers.cluener import read_cluener
from kcx_jax.corpora.readers.conll import read_conll
from kcx_jax.corpora.readers.conll04 import read_conll04
from kcx_jax.corpora.readers.conllu import read_conllu
from kcx_jax.corpora.readers.crossre import read_crossre
from kcx_jax.corpora.readers.detection import detect
from kcx_jax.corpora.readers.docbin import read_docbin
from kcx_jax.corpora.readers.doccano import read_doccano
from kcx_jax.corpora.readers.docred import read_docred
from kcx_jax.corpora.readers.duee import read_duee
from kcx_jax.corpora.readers.duie import read_duie
from kcx_jax.corpora.readers.fewfc import read_fewfc
from kcx_jax.corpora.readers.fewrel import read_fewrel
from kcx_jax.corpora.readers.gliner import read_gliner
from kcx_jax.corpora.readers.iepile import read_iepile
from kcx_jax.corpora.readers.inline import read_inline
from kcx_jax.corpora.readers.iob2 import read_iob2
from kcx_jax.corpora.readers.knowcoder import read_knowcoder
from kcx_jax.corpora.readers.label_studio import read_label_studio
from kcx_jax.corpora.readers.multiconer import read_multiconer
from kcx_jax.corpora.readers.offset_units import OFFSET_UNITS
from kcx_jax.corpora.readers.oneie import read_oneie
from kcx_jax.corpora.readers.options import LabelMap, Options, RoleMap
from kcx_jax.corpora.readers.panx import read_panx
from kcx_jax.corpora.readers.parquet import read_parquet
from kcx_jax.corpora.readers.phee import read_phee
from kcx_jax.corpora.readers.prodigy import read_prodigy
from kcx_jax.corpora.readers.pubtator import read_pubtator
from kcx_jax.corpora.readers.rams import read_rams
from kcx_jax.corpora.readers.scierc import read_scierc
from kcx_jax.corpora.readers.semeval2010 import read_semeval2010
from kcx_jax.corpora.readers.tacred import read_tacred
from kcx_jax.corpora.readers.triple_list import read_triple_list
from kcx_jax.corpora.readers.weibo import read_weibo
from kcx_jax.corpora.readers.wikineural import read_wikineural
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError, UsageError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reader:
    """A format: how it is read, and the inventory its labels belong to (None: kept as they are).

    `columns`, `units`: whether the caller may say which columns hold the tags, what the offsets count.
    """

    read: Callable[[Path, Options], Iterator[Record]]
    inventory: str | None
    columns: bool = False
    units: bool = False


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
    "ace_json": Reader(read_ace_json, None),
    "crossre": Reader(read_crossre, "crossre"),
    "semeval2010": Reader(read_semeval2010, "semeval2010-task8"),
    "duie": Reader(read_duie, "duie"),
    "duee": Reader(read_duee, "duee"),
    "fewrel": Reader(read_fewrel, None),
    "tacred": Reader(read_tacred, None),
    "docred": Reader(read_docred, None),
    "scierc": Reader(read_scierc, None),
    "conll04": Reader(read_conll04, None),
    "pubtator": Reader(read_pubtator, None),
    "rams": Reader(read_rams, None),
    "casie": Reader(read_casie, None),
    "triple_list": Reader(read_triple_list, None),
    "brat": Reader(read_brat, None),
    "iepile": Reader(read_iepile, None),
    "knowcoder": Reader(read_knowcoder, None),
    "gliner": Reader(read_gliner, None),
    "inline": Reader(read_inline, None),
    "parquet": Reader(read_parquet, None),
    "label-studio": Reader(read_label_studio, None, units=True),
    "doccano": Reader(read_doccano, None, units=True),
    "prodigy": Reader(read_prodigy, None, units=True),
    "docbin": Reader(read_docbin, None),
}


def read_records(
    path: str | Path,
    reader: str = "auto",
    language: str | None = None,
    *,
    inventory: str | None = "default",
    joiner: str | None = None,
    columns: Sequence[int] = (),
    auto: bool = False,
    offset_unit: str | None = None,
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
        auto: give a label or role that has no name yet one from its own sounds ("人物" -> RenWu) instead of
            refusing it; two labels that would meet in one name are refused all the same.
        offset_unit: what the file's offsets count: code-points, utf-16 (a browser) or utf-8 (bytes). None: code
            points; `label-studio` then goes by the surfaces. Only readers of JSON with such offsets take it.

    Raises `UsageError` for an unknown reader or unit, for a unit or columns it has not, `KcxError` naming file and line
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
    if offset_unit is not None and offset_unit not in OFFSET_UNITS:
        raise UsageError(f"unknown offset unit {offset_unit!r}; known: {', '.join(OFFSET_UNITS)}")
    if offset_unit is not None and not chosen.units:
        takers = ", ".join(key for key, entry in READERS.items() if entry.units)
        raise UsageError(f"the reader {name} takes no offset unit; those that do: {takers}")
    labels = LabelMap(chosen.inventory if inventory == "default" else inventory, auto)
    roles = RoleMap(labels.inventory, auto)
    return chosen.read(path, Options(language, joiner, tuple(columns), offset_unit, labels, roles))


def choose_reader(path: str | Path) -> str:
    """The name of the one reader whose format the content of `path` has; `KcxError` if that is not clear."""
    path = Path(path)
    name, doubt = detect(path)
    if name is None:
        raise KcxError(f"{path}: cannot tell its format ({doubt}). Name the reader: {', '.join(READERS)}")
    _LOG.info("%s: read as %s", path, name)
    return name
