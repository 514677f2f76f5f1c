"""`gliner`: training data of GLiNER and GLiREL, `{"tokenized_text": [tokens], "ner": [[first, last, label], ...]}`.

Token indices include the last one. The text is the tokens joined, or what stands under `text`. GLiREL adds
`"relations": [{"head": {"mention", "position": [first, last], "type"}, "tail": {...}, "relation_text"}]`: an end is the
entity at its position, or one of its own type where `ner` has none there; its `mention` must be the tokens there.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.columns import align_tokens, record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import NO_RELATION, Draft, token_list
from kcx_jax.corpora.record import Record, Span

_FORM = ((int, int, str), "[first, last, label]")


def read_gliner(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a file; `KcxError` naming the key for tokens that are not there."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = _draft(row, path, options)
        ids: dict[Span, str] = {}
        for i, item in enumerate(array(row.get("ner"), f"{where}: ner")):
            key = f"ner[{i}]"
            first, last, label = fields(item, _FORM[0], f"{where}: {key}", _FORM[1])[:3]
            span = draft.token_span(first, last + 1, key)
            ids.setdefault(span, draft.mention(span, label, key))
        for node in row.items("relations", lambda item: item) or ():
            _relation(draft, node, ids)
        yield draft.record(record_id(path, index), relations="relations" in row.value)


def _draft(row: JsonObject, path: Path, options: Options) -> Draft:
    tokens = token_list(row.get("tokenized_text"), f"{row.where}: tokenized_text")
    if "text" not in row.value:
        return Draft.of_tokens(path, row.where, tokens, options)
    text = row.string("text", empty=True)
    places = [f"{row.where}: tokenized_text[{i}]" for i in range(len(tokens))]
    return Draft(path, row.where, text, options, align_tokens(text, tokens, places))


def _relation(draft: Draft, node: JsonObject, ids: dict[Span, str]) -> None:
    head, tail = (
        _end(draft, JsonObject(node.get(side), node.where, f"{node.key}.{side}"), ids)
        for side in ("head", "tail")
    )
    label = node.string("relation_text")
    if label not in NO_RELATION:
        draft.link(label, head, tail, node.key)


def _end(draft: Draft, node: JsonObject, ids: dict[Span, str]) -> str:
    """The entity at one end of a relation, added unless it is there."""
    where = f"{node.where}: {node.key}.position"
    first, last = fields(node.get("position"), (int, int), where, "[first, last]")[:2]
    span = draft.token_span(first, last + 1, f"{node.key}.position")
    mention = node.string("mention")
    if mention.split() != span.text.split():
        raise node.error(
            "mention", f"is {mention[:60]!r}, but the tokens at its position are {span.text[:60]!r}"
        )
    if span not in ids:
        label = node.string("type") if node.get("type") is not None else None
        ids[span] = draft.mention(span, label, node.key)
    return ids[span]
