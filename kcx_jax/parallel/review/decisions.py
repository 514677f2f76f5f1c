"""What people decided about the cases a run could not resolve: checked as a model's reply is, and kept.

The ledger keeps them as pairs, in the order in which they were taken; of two for one record the later counts and the
earlier stays. Their provenance has ``stage: people``, who decided, when, and with what.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.llm import Ledger
from kcx_jax.parallel.translation.arrangement import rearranged
from kcx_jax.parallel.translation.checks import Refusal, read_translation
from kcx_jax.parallel.translation.matching import Match, locate
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan, carry_over, discontinuous, source_spans

PEOPLE = "people"
"""The stage in the provenance of what people decided."""


@dataclass(frozen=True)
class Decision:
    """A person's translation of the record `id`: the sentence and, by span id, the words in it.

    `places` says where they stand, where the person marked them; what was not marked is found as a model's spans are.
    `when` is the time the tool gives, as it writes it ("" where it gives none).
    """

    id: str
    sentence: str
    texts: Mapping[str, str]
    places: Mapping[str, Offsets] = field(default_factory=dict)
    who: str = ""
    when: str = ""
    tool: str = ""


@dataclass(frozen=True)
class Unusable:
    """What a person left in a tool for the record `id`, and why it is no decision."""

    id: str
    reason: str


@dataclass(frozen=True)
class Taken:
    """How many decisions an import took, how many were there already, and why others were refused."""

    new: int
    known: int
    refused: list[Unusable]


def read_review(ledger: Ledger) -> dict[tuple[str, str], ParallelRecord]:
    """The pairs that people made in a run, by record id and target language: of each the last."""
    rows = ledger.store.read("SELECT id, target, decision FROM review ORDER BY rowid")
    return {(id, target): ParallelRecord.from_json(json.loads(pair)) for id, target, pair in rows}


def take_decisions(
    ledger: Ledger,
    cases: Mapping[str, Record],
    target: str,
    decisions: Iterable[Decision | Unusable],
    now: str,
) -> Taken:
    """Check `decisions` about `cases` (record id -> source record) and keep the good ones.

    `now` is when they came in. A decision that is there already is not kept again. Raises `KcxError` when the ledger
    cannot be written.
    """
    kept = ledger.store.read("SELECT decision FROM review").fetchall()
    there = {_identity(ParallelRecord.from_json(json.loads(row[0]))) for row in kept}
    taken = Taken(0, 0, [])
    for decision in decisions:
        pair = _checked(cases, target, decision)
        if isinstance(pair, Unusable):
            taken.refused.append(pair)
        elif _identity(pair) in there:
            taken = replace(taken, known=taken.known + 1)
        else:
            taken = replace(taken, new=taken.new + 1)
            there.add(_identity(pair))
            pair = replace(pair, provenance={**pair.provenance, "imported": now})
            told = pair.provenance["who"], pair.provenance["when"], json.dumps(pair.to_json())
            ledger.store.write("INSERT INTO review VALUES (?, ?, ?, ?, ?)", pair.id, target, *told)
    ledger.store.flush()
    return taken


def _checked(
    cases: Mapping[str, Record], target: str, decision: Decision | Unusable
) -> ParallelRecord | Unusable:
    if isinstance(decision, Unusable):
        return decision
    if decision.id not in cases:
        return Unusable(decision.id, "the run has no such case for people")
    try:
        return decided_pair(cases[decision.id], target, decision)
    except Refusal as refusal:
        return Unusable(decision.id, refusal.detail)


def _identity(pair: ParallelRecord) -> str:
    told = {key: value for key, value in pair.provenance.items() if key != "imported"}
    # The same words for a record that was corrected are another decision.
    source = replace(pair.source, meta={})
    return json.dumps([pair.id, source.to_json(), pair.target.to_json(), told], sort_keys=True)


def decided_pair(record: Record, target: str, decision: Decision) -> ParallelRecord:
    """The pair a decision makes of its record, under the rules that a model's reply is under.

    Raises `Refusal` with a sentence for the person.
    """
    spans = source_spans(record)
    reply = {
        "sentence": decision.sentence,
        "spans": [{"id": id, "text": text} for id, text in decision.texts.items()],
    }
    draft = read_translation(json.dumps(reply), record.text, [span.id for span in spans])
    if draft.sentence == decision.sentence and decision.places.keys() == draft.texts.keys():
        matches = dict(_marked(decision, spans))
    else:
        matches = locate(draft.sentence, spans, draft.texts)
        for span in spans:
            if span.id not in matches:
                raise Refusal(
                    "missing_span",
                    f"{draft.texts[span.id]!r} for {span.text!r} ({span.id}) does not stand in the sentence on its own",
                )
    places = {(span.start, span.end): (matches[span.id].start, matches[span.id].end) for span in spans}
    provenance: dict[str, Any] = {
        "stage": PEOPLE,
        "who": decision.who,
        "when": decision.when,
        "tool": decision.tool,
        "rungs": dict(Counter(match.rung for match in matches.values())),
    }
    if pieces := discontinuous(record):
        provenance["discontinuous"] = pieces
    return ParallelRecord(record.id, record, carry_over(record, draft.sentence, target, places), provenance)


def _marked(decision: Decision, spans: Sequence[SourceSpan]) -> Iterator[tuple[str, Match]]:
    """The places a person marked, once they are seen to hold the words and to lie in each other as in the source."""
    for span in spans:
        start, end = decision.places[span.id]
        inside = 0 <= start < end <= len(decision.sentence)
        if not inside or decision.sentence[start:end] != decision.texts[span.id]:
            raise Refusal("offsets", f"{span.id} is marked at [{start}, {end}), where other words stand")
        yield span.id, Match(start, end, "verbatim")
    if moved := rearranged(spans, decision.places):
        raise Refusal(
            "nesting", f"{' and '.join(moved)} do not lie in each other, or apart, as they do in the source"
        )
