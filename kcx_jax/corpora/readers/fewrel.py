"""`fewrel`: an object `{relation: [{"tokens", "h": [name, id, [[token, ...], ...]], "t": [...]}]}`, or an item a line.

A line (OpenNRE: Wiki80, NYT10, GIDS) has its `relation` in it and `h`, `t` as `{"name", "id", "pos": [start, end]}`,
end excluded, in tokens of `token` or in characters of `text`. The entities have no type, so their class is `Entity`.
Where a name stands at several places, all are mentions and the first is the end of the relation; `meta.clusters`
lists them by side, `meta.pair` the pair and its label (`NA` is no relation). A name that is not what stands at its
place (case and spaces aside) is set aside with its pair, counted and kept in `meta.unplaced`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, token_list
from kcx_jax.corpora.record import Record, Span

_SIDES = ("h", "t")


def read_fewrel(path: Path, options: Options) -> Iterator[Record]:
    """The sentences of a FewRel or OpenNRE file; `KcxError` naming the key for what has not its form."""
    index = 0
    for where, value in read_json_items(path):
        for node, label in _labelled(JsonObject(value, where)):
            yield _fewrel_record(node, label, path, index, options)
            index += 1


def _labelled(node: JsonObject) -> Iterator[tuple[JsonObject, str | None]]:
    """The items of an object of lists with their relation, or the one item that says its own (or none)."""
    if all(side in node.value for side in _SIDES):
        yield node, node.string("relation") if "relation" in node.value else None
        return
    for label in node.value:
        for item in node.items(label, lambda item: item):
            yield item, label


def _fewrel_record(node: JsonObject, label: str | None, path: Path, index: int, options: Options) -> Record:
    where = f"{node.where}: {node.key}" if node.key else node.where
    if "text" in node.value:
        draft = Draft(path, where, node.string("text", empty=True), options)
    else:
        key = "tokens" if "tokens" in node.value else "token"
        draft = Draft.of_tokens(path, where, token_list(node.get(key), f"{where}: {key}"), options)
    sides = {side: _side(node.get(side), draft, side) for side in _SIDES}
    if any(_folded(span.text) != _folded(name) for name, spans in sides.values() for span in spans):
        draft.set_aside("pairs whose name is not at its place", {side: node.get(side) for side in _SIDES})
        return draft.record(record_id(path, index), entities=False, relations=False)
    clusters = [[draft.mention(span, None, side) for span in spans] for side, (_, spans) in sides.items()]
    pair = draft.pair(label, [cluster[0] for cluster in clusters])
    return draft.record(record_id(path, index), relations=label is not None, clusters=clusters, pair=pair)


def _side(value: Any, draft: Draft, key: str) -> tuple[str, list[Span]]:
    """The name of an end of the pair, and where it stands."""
    if isinstance(value, list):
        name, _, places = fields(
            value, (str, str, list), f"{draft.where}: {key}", "[name, id, [[token, ...]]]"
        )[:3]
        if not places:
            raise draft.error(key, "gives no place in the sentence")
        return name, [_token_run(array(place, f"{draft.where}: {key}"), draft, key) for place in places]
    node = JsonObject(value, draft.where, key)
    start, end = fields(node.get("pos"), (int, int), f"{draft.where}: {key}.pos", "[start, end]")[:2]
    span = draft.char_span if draft.offsets is None else draft.token_span
    found = span(start, end, f"{key}.pos")
    return node.string("name") if "name" in node.value else found.text, [found]


def _token_run(tokens: Sequence[Any], draft: Draft, key: str) -> Span:
    if not tokens or not all(type(token) is int for token in tokens):
        raise draft.error(key, "must give the numbers of its tokens")
    if list(tokens) != list(range(tokens[0], tokens[0] + len(tokens))):
        raise draft.error(key, f"{list(tokens)[:20]} are no tokens in a row")
    return draft.token_span(tokens[0], tokens[-1] + 1, key)


def _folded(surface: str) -> str:
    return "".join(surface.casefold().split())
