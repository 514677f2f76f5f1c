"""`docred`: DocRED and Re-DocRED, `{"title", "sents": [tokens], "vertexSet": [[mention, ...]], "labels": [...]}`.

A record is a document, its sentences joined. A relation holds between entities; in the record it links the first
mentions, in the order of the text, of its head and of its tail. `meta.clusters` lists the mentions of each entity and
`meta.evidence` the sentences that prove each relation, so nothing is lost. A mention whose `name` is not what its
tokens say (spaces aside) is set aside, and a relation on an entity that has no other mention; both are counted and
kept in `meta.unplaced`. `labels` absent = relations not annotated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, array, fields
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, sentence_tokens
from kcx_jax.corpora.record import Record, Span, text_order


def read_docred(path: Path, options: Options) -> Iterator[Record]:
    """The documents of a DocRED file; `KcxError` naming the key for what has not its form."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        tokens, starts = sentence_tokens(row.get("sents"), f"{where}: sents")
        draft = Draft.of_tokens(path, where, tokens, options)
        vertices = array(row.get("vertexSet"), f"{where}: vertexSet")
        clusters = [_cluster(draft, vertex, starts, i) for i, vertex in enumerate(vertices)]
        evidence: list[Any] = []
        for label in row.items("labels", lambda node: node) or ():
            _relation(draft, label, clusters, evidence)
        meta: dict[str, Any] = {"sentences": starts, "clusters": clusters}
        if "title" in row.value:
            meta["source_id"] = row.string("title", empty=True)
        if "labels" in row.value:
            meta["evidence"] = evidence
        yield draft.record(record_id(path, index), relations="labels" in row.value, **meta)


def _cluster(draft: Draft, vertex: Any, starts: list[int], number: int) -> list[str]:
    """The ids of an entity's mentions, in the order of the text."""
    found: list[tuple[Span, str, str]] = []
    for i, mention in enumerate(array(vertex, f"{draft.where}: vertexSet[{number}]")):
        node = JsonObject(mention, draft.where, f"vertexSet[{number}][{i}]")
        span = _span(draft, node, starts)
        if "".join(node.string("name").split()) == "".join(span.text.split()):
            found.append((span, node.string("type"), node.key))
        else:
            draft.set_aside("mentions whose name is not at its place", mention)
    return [draft.mention(*item) for item in sorted(found, key=lambda item: text_order(item[0]))]


def _span(draft: Draft, node: JsonObject, starts: list[int]) -> Span:
    """The span of `pos`, which counts tokens from the beginning of the sentence `sent_id`."""
    sentence = node.integer("sent_id")
    if not 0 <= sentence < len(starts) - 1:
        raise node.error("sent_id", f"{sentence} is none of {len(starts) - 1} sentences")
    first, end = fields(node.get("pos"), (int, int), f"{node.where}: {node.key}.pos", "[start, end]")[:2]
    size = starts[sentence + 1] - starts[sentence]
    if not 0 <= first < end <= size:
        raise node.error("pos", f"[{first}, {end}) is no span of a sentence of {size} tokens")
    return draft.token_span(starts[sentence] + first, starts[sentence] + end, f"{node.key}.pos")


def _relation(draft: Draft, node: JsonObject, clusters: list[list[str]], evidence: list[Any]) -> None:
    ends = []
    for side in ("h", "t"):
        number = node.integer(side)
        if not 0 <= number < len(clusters):
            raise node.error(side, f"{number} is none of {len(clusters)} entities")
        ends.append(clusters[number])
    if not all(ends):
        draft.set_aside("relations on entities without a mention", dict(node.value))
        return
    draft.link(node.string("r"), ends[0][0], ends[1][0], node.key)
    evidence.append(array(node.get("evidence", []), f"{node.where}: {node.key}.evidence"))
