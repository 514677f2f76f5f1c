"""The figures of a projection, which are those of the builder, over all source records.

A record is *resolved* when every span stands at an offset of the target sentence, and *verbatim* when each does so in
the very words that the method gave. What has no sentence, or lacks a span, is unfaithful.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from kcx_jax.corpora import Mention, Record
from kcx_jax.parallel.projection.run import Projected, Projection
from kcx_jax.parallel.report.shares import Share
from kcx_jax.parallel.translation.matching import locate
from kcx_jax.parallel.translation.spans import source_spans
from kcx_jax.scoring import score


def figures(projection: Projection, gold: Mapping[str, Record] | None = None) -> dict[str, Any]:
    """Faithfulness with its intervals, spans found, calls and tokens as JSON values; with `gold` also span F1.

    `gold` holds the true target records by id. Where the translation is another sentence than gold's, the words of
    the spans are looked for in gold's sentence; what is not there is an entity that was not found.
    """
    rows = projection.projected
    spans = [len(source_spans(row.record)) for row in rows]
    resolved = sum(row.target is not None for row in rows)
    verbatim = sum(_is_verbatim(row) for row in rows)
    with_spans = [row for row, count in zip(rows, spans, strict=True) if count]
    made: dict[str, Any] = {
        "method": projection.method,
        "model": projection.model,
        "records": len(rows),
        "faithful_verbatim": _share(verbatim, len(rows)),
        "faithful_resolved": _share(resolved, len(rows)),
        "faithful_resolved_with_spans": _share(
            sum(row.target is not None for row in with_spans), len(with_spans)
        ),
        "spans": _share(sum(len(row.matches) for row in rows), sum(spans)),
        "rungs": dict(Counter(match.rung for row in rows for match in row.matches.values())),
        "without_sentence": sum(row.sentence is None for row in rows),
        **asdict(projection.cost),
    }
    if gold is not None:
        made["span_f1"] = _span_f1(rows, gold)
    return made


def _share(count: int, total: int) -> dict[str, Any]:
    return {
        "count": count,
        "of": total,
        "share": count / total if total else 1.0,
        "interval_95": Share(count, total).interval or (0.0, 1.0),  # of nothing, anything may be true
    }


def _is_verbatim(row: Projected) -> bool:
    return row.target is not None and all(match.rung == "verbatim" for match in row.matches.values())


def _span_f1(rows: Sequence[Projected], gold: Mapping[str, Record]) -> dict[str, Any]:
    """Micro F1 of entity mentions, span and type, in gold's sentences (`strict` of `kcx_jax.scoring`)."""
    true = [gold[row.record.id] for row in rows if row.record.id in gold]
    guesses = [_in_gold(row, gold[row.record.id]) for row in rows if row.record.id in gold]
    counts = score(true, guesses, ["ner"]).units["ner"].total
    same = sum(row.sentence == gold[row.record.id].text for row in rows if row.record.id in gold)
    return {**counts.to_json(), "records": len(true), "same_sentence": same}


def _in_gold(row: Projected, gold: Record) -> Record:
    spans = source_spans(row.record)
    places = row.matches
    if row.sentence is not None and row.sentence != gold.text:
        texts = {id: row.sentence[match.start : match.end] for id, match in places.items()}
        places = locate(gold.text, [span for span in spans if span.id in texts], texts)
    ids = {(span.start, span.end): span.id for span in spans}
    mentions: list[Mention] = []
    for mention in row.record.entities or ():
        if match := places.get(ids[mention.start, mention.end]):
            text = gold.text[match.start : match.end]
            mentions.append(replace(mention, start=match.start, end=match.end, text=text, spans=()))
    return replace(gold, entities=tuple(mentions), relations=None, events=None)
