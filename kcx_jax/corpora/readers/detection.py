"""The choice of a reader by what stands in the file, never by its name: one row a format.

A JSON format is told by its first object (`JSON_SIGNS`), a text with marks of its own by its lines
(`TEXT_SIGNS`), a binary one by its first bytes (`MAGIC`), and tables of tokens and tags by their columns. In
each table the first row that fits counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.lines import read_lines, read_opening
from kcx_jax.corpora.readers import parquet
from kcx_jax.corpora.readers.ace_json import ENTITIES, EVENTS
from kcx_jax.corpora.readers.brat import SUFFIXES, document_pairs
from kcx_jax.corpora.readers.columns import TEXT_COMMENT, is_tag, split_columns
from kcx_jax.corpora.readers.conll import is_apart, is_tabbed
from kcx_jax.corpora.readers.conllu import misc_tag
from kcx_jax.corpora.readers.inline import is_inline
from kcx_jax.corpora.readers.multiconer import HEAD
from kcx_jax.corpora.readers.panx import PREFIXED
from kcx_jax.corpora.readers.pubtator import TITLE
from kcx_jax.corpora.readers.semeval2010 import SENTENCE
from kcx_jax.corpora.readers.weibo import split_positions
from kcx_jax.errors import KcxError

_SAMPLE_LINES = 500

JsonSign = Callable[[Mapping[str, Any]], bool]
TextSign = Callable[[Sequence[str]], bool]


@dataclass(frozen=True)
class Sample:
    """The beginning of a text file: its first lines that are not blank, and its first JSON object if it has any."""

    path: Path
    lines: tuple[str, ...]
    item: Mapping[str, Any] | None


def has(**kinds: type | tuple[type, ...]) -> JsonSign:
    """The sign of objects that have these keys with values of these kinds (`object`: of any)."""
    return lambda item: all(key in item and isinstance(item[key], kind) for key, kind in kinds.items())


JSON_SIGNS: dict[str, JsonSign] = {
    "cluener": has(text=object, label=dict),
    "fewfc": has(content=str, events=list),
    "phee": has(context=str, annotations=list),
    "oneie": has(tokens=list, event_mentions=list),
    "ace_json": lambda item: isinstance(item.get("words"), list) and (ENTITIES in item or EVENTS in item),
    "crossre": has(doc_key=str, sentence=list, ner=list, relations=list),
    "duie": has(text=str, spo_list=list),
    "triple_list": has(text=str, triple_list=list),
    "duee": has(text=str, event_list=list),
    "docred": has(sents=list, vertexSet=list),
    "scierc": has(doc_key=str, sentences=list, ner=list),
    "rams": has(doc_key=str, evt_triggers=list, gold_evt_links=list),
    "casie": has(content=str, cyberevent=dict),
    "conll04": has(tokens=list, entities=list, relations=list),
    "tacred": has(token=list, subj_start=int, obj_start=int, relation=str),
    "fewrel": lambda item: _is_pair_item(item) or _is_pairs_by_relation(item),
    "iepile": lambda item: _is_instruction(item) or _is_plain_iepile(item),
    "knowcoder": lambda item: (
        isinstance(item.get("sentence"), str)
        and any(key in item for key in ("entities", "relations", "events"))
    ),
    "gliner": has(tokenized_text=list, ner=list),
    "label-studio": lambda item: has(data=dict, annotations=list)(item) or _is_minimal_task(item),
    "prodigy": lambda item: (
        has(text=str)(item) and any(key in item for key in ("_input_hash", "_task_hash", "spans"))
    ),
    "doccano": lambda item: has(text=str)(item) and (_is_labelled(item) or _has_offsets(item)),
    "jsonl": lambda item: has(text=object, id=str)(item) and not _is_pair(item),
}

TEXT_SIGNS: dict[str, TextSign] = {
    "semeval2010": lambda lines: bool(SENTENCE.fullmatch(lines[0])) and "<e1>" in lines[0],
    "pubtator": lambda lines: bool(TITLE.fullmatch(lines[0])),
    "inline": is_inline,
}

MAGIC: dict[bytes, str] = {
    parquet.MAGIC: "parquet",
    b"x\x9c": "docbin",  # zlib, in which spaCy packs its documents
}


def detect(path: Path) -> tuple[str | None, str]:
    """The name of the one reader whose format `path` has, or None and the doubt in words."""
    if parquet.is_dataset_folder(path):
        return "parquet", ""
    if path.is_dir() or (path.suffix in SUFFIXES and path.with_suffix(".ann").is_file()):
        document_pairs(path)
        return "brat", ""
    opening = read_opening(path, max(map(len, MAGIC), default=0))
    for magic, name in MAGIC.items():
        if opening.startswith(magic):
            return name, ""
    sample = take_sample(path)
    if not sample.lines:
        return None, "it is empty"
    if sample.item is not None:
        return _by_json(sample.item)
    if sample.lines[0].lstrip().startswith("{") and not is_inline(sample.lines):
        return None, "its first line opens like JSON and is not"
    for name, sign in TEXT_SIGNS.items():
        if sign(sample.lines):
            return name, ""
    return _by_columns(sample.lines)


def take_sample(path: Path) -> Sample:
    """Look at the beginning of a text file; `KcxError` when it cannot be read."""
    lines = tuple(line for _, line in islice(read_lines(path), _SAMPLE_LINES) if line.strip())
    item = None
    if lines and lines[0].lstrip().startswith(("{", "[")):
        try:
            item = next((value for _, value in read_json_items(path)), None)
        except KcxError:  # it only looked like JSON
            item = None
    return Sample(path, lines, item if isinstance(item, dict) else None)


def _is_pair_item(item: Mapping[str, Any]) -> bool:
    """An item of FewRel or OpenNRE: a text or its tokens, and a pair of entities."""
    return all(key in item for key in "ht") and any(key in item for key in ("text", "token", "tokens"))


def _is_pairs_by_relation(item: Mapping[str, Any]) -> bool:
    """Such items in a list by relation."""
    first = next(iter(item.values()), None)
    return isinstance(first, list) and bool(first) and isinstance(first[0], dict) and _is_pair_item(first[0])


def _is_instruction(item: Mapping[str, Any]) -> bool:
    """An item of IEPile: an instruction that is JSON in a string, and what it asks for."""
    return has(instruction=str)(item) and item["instruction"].lstrip().startswith("{")


def _is_plain_iepile(item: Mapping[str, Any]) -> bool:
    return has(text=str)(item) and any(
        isinstance(item.get(key), list) for key in ("entity", "relation", "event")
    )


def _is_minimal_task(item: Mapping[str, Any]) -> bool:
    """A task of Label Studio's JSON-MIN: a list of regions with their labels under some key."""
    return any(
        isinstance(value, list)
        and value
        and isinstance(value[0], dict)
        and {"start", "labels"} <= value[0].keys()
        for value in item.values()
    )


def _is_labelled(item: Mapping[str, Any]) -> bool:
    """A text of doccano with [start, end, label]."""
    spans = item.get("label", item.get("labels"))
    return isinstance(spans, list) and all(isinstance(span, list) and len(span) == 3 for span in spans)


def _has_offsets(item: Mapping[str, Any]) -> bool:
    """A text of doccano with entities as objects."""
    entities = item.get("entities")
    first = entities[0] if isinstance(entities, list) and entities else None
    return isinstance(first, dict) and "start_offset" in first


def _is_pair(item: Mapping[str, Any]) -> bool:
    return "source" in item and "target" in item


def _by_json(item: Mapping[str, Any]) -> tuple[str | None, str]:
    for name, sign in JSON_SIGNS.items():
        if sign(item):
            return name, ""
    if _is_pair(item):
        return None, "these are pairs of records; read them as parallel data"
    shown = ", ".join(item)
    return None, f"JSON objects with the keys {shown[:200]}{'...' if len(shown) > 200 else ''}"


def _by_columns(lines: Sequence[str]) -> tuple[str | None, str]:
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


def _by_token(lines: Sequence[str], rows: list[list[str]], tabbed: bool) -> str:
    """The reader of rows that end in a tag, by what stands before it."""
    tokens, width = [row[0] for row in rows], len(rows[0])
    if tabbed and width == 2 and None not in split_positions(tokens):
        return "weibo"
    if tabbed and width == 2 and all(map(PREFIXED.fullmatch, tokens)):
        return "panx"
    if width == 4 and all(row[1:3] == ["_", "_"] for row in rows) and lines[0].startswith(HEAD):
        return "multiconer"
    return "conll"
