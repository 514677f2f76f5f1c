"""`crossre`: JSON lines `{"doc_key", "sentence": tokens, "ner": [[first, last, type]], "relations": [...]}`.

A relation is `[head first, head last, tail first, tail last, type, explanation, uncertain, syntax ambiguity]`; all
indices count tokens and include the end. Entity `e3` of a record is item 3 of `ner`. Two relations of a pair are two
relations. Multi-CrossRE also has the text as it was written (`sentence-detokenized`, `token2charspan`): offsets are
then into it. Its projection lost items; `meta.lost_in_projection` counts the gaps among those that survived.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, token_list
from kcx_jax.corpora.record import Record

_MAPPINGS = {"entities": "ner_mapping_to_source", "relations": "relations_mapping_to_source"}
_ENTITY = "[first token, last token, type]"
_RELATION = "[head first, head last, tail first, tail last, type, ...]"


def read_crossre(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a CrossRE file; `KcxError` naming the key for what cannot be lined up."""
    for where, value in read_json_items(path):
        row = JsonObject(value, where)
        draft = _draft(row, path, options)
        mentions = _mentions(row, draft)
        notes = [_relation(draft, item, i, mentions) for i, item in enumerate(_list(row, "relations"))]
        meta: dict[str, Any] = {"relation_notes": notes}
        mappings = {side: _list(row, key) for side, key in _MAPPINGS.items() if key in row.value}
        if mappings:
            meta["projected_from"] = mappings
            meta["lost_in_projection"] = {
                side: _gaps(indices, f"{where}: {_MAPPINGS[side]}") for side, indices in mappings.items()
            }
        yield draft.record(row.string("doc_key"), **meta)


def _draft(row: JsonObject, path: Path, options: Options) -> Draft:
    tokens = token_list(row.get("sentence"), f"{row.where}: sentence")
    if "sentence-detokenized" not in row.value:
        return Draft.of_tokens(path, row.where, tokens, options)
    text, offsets = row.string("sentence-detokenized", empty=True), []
    places = _list(row, "token2charspan")
    if len(places) != len(tokens):
        raise row.error("token2charspan", f"has {len(places)} spans for {len(tokens)} tokens")
    for i, (token, place) in enumerate(zip(tokens, places, strict=True)):
        start, end = fields(place, (int, int), f"{row.where}: token2charspan[{i}]", "[start, end]")[:2]
        if not 0 <= start <= end <= len(text) or text[start:end] != token:
            raise row.error(f"token2charspan[{i}]", f"{token[:60]!r} is not at [{start}, {end}) of the text")
        offsets.append((start, end))
    return Draft(path, row.where, text, options, offsets)


def _mentions(row: JsonObject, draft: Draft) -> dict[tuple[int, int], str]:
    """Add the entities; the id of the first one on each span."""
    ids: dict[tuple[int, int], str] = {}
    for i, item in enumerate(_list(row, "ner")):
        first, last, label = fields(item, (int, int, str), f"{row.where}: ner[{i}]", _ENTITY)[:3]
        span = draft.token_span(first, last + 1, f"ner[{i}]")
        ids.setdefault((first, last), draft.mention(span, label, f"ner[{i}]"))
    return ids


def _relation(draft: Draft, item: Any, i: int, mentions: dict[tuple[int, int], str]) -> list[Any]:
    """Add a relation and return its remarks."""
    key = f"relations[{i}]"
    values = fields(item, (int, int, int, int, str), f"{draft.where}: {key}", _RELATION)
    ends = (values[0], values[1]), (values[2], values[3])
    for end in ends:
        if end not in mentions:
            raise draft.error(key, f"no item of ner stands at the tokens {list(end)}")
    draft.link(values[4], mentions[ends[0]], mentions[ends[1]], key)
    return values[5:]


def _list(row: JsonObject, key: str) -> list[Any]:
    return array(row.get(key), f"{row.where}: {key}")


def _gaps(indices: list[Any], where: str) -> int:
    """How many numbers below the largest are missing."""
    found = set(fields(indices, (int,) * len(indices), where, "a list of numbers"))
    return max(found, default=-1) + 1 - len(found)
