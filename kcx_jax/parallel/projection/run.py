"""A corpus through one method: what became of every record, and what it cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kcx_jax.corpora import Record
from kcx_jax.errors import UsageError
from kcx_jax.llm import ChatClient
from kcx_jax.parallel.projection import alignment
from kcx_jax.parallel.projection.asking import Asker, Cost, NoAnswer
from kcx_jax.parallel.projection.methods import METHODS, Draft
from kcx_jax.parallel.runs.workers import work_through
from kcx_jax.parallel.translation.arrangement import rearranged
from kcx_jax.parallel.translation.languages import check_tag
from kcx_jax.parallel.translation.matching import Match, locate
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan, carry_over, source_spans


@dataclass(frozen=True)
class Projected:
    """What a method made of a record: the translated sentence (None: none) and the spans found in it, by their ids.

    `target` is the translated record; None where a span has no place. `problem` says why a sentence is missing.
    """

    record: Record
    sentence: str | None
    matches: dict[str, Match]
    target: Record | None
    problem: str = ""


@dataclass(frozen=True)
class Projection:
    """The records in the order of the input, and what they cost."""

    method: str
    model: str
    projected: list[Projected]
    cost: Cost


def project(
    records: Sequence[Record],
    target: str,
    client: ChatClient,
    method: str,
    progress: Callable[[], None] = lambda: None,
) -> Projection:
    """Project the annotation of `records` into the language `target` by a method of `METHODS`.

    Blocks; works on `client.concurrency` records at once, and calls `progress` after each, from its own thread.
    Raises `UsageError` for an unknown method or what is no language tag; `KcxError` when the endpoint is of no use,
    `BudgetExceeded` when its quota or the client's budget ends. Ctrl-C and SIGTERM let requests under way come to
    their end.
    """
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    check_tag(target)
    asker = Asker(client, target)
    drafts: list[Draft | str] = [""] * len(records)

    async def ask(item: tuple[int, Record]) -> None:
        i, record = item
        try:
            drafts[i] = await METHODS[method](asker, record, source_spans(record))
        except NoAnswer as problem:
            drafts[i] = str(problem)
        progress()

    work_through(enumerate(records), ask, [client])
    if method == "align":
        drafts = _aligned(records, drafts)
    projected = [_placed(record, target, draft) for record, draft in zip(records, drafts, strict=True)]
    return Projection(method, client.model, projected, asker.cost)


def _aligned(records: Sequence[Record], drafts: Sequence[Draft | str]) -> list[Draft | str]:
    """The drafts with the places that word alignment finds; of places that contradict each other, the first."""
    made = list(drafts)
    done = [(i, draft) for i, draft in enumerate(drafts) if isinstance(draft, Draft)]
    links = alignment.align([(records[i].text, draft.sentence) for i, draft in done])
    for (i, draft), linked in zip(done, links, strict=True):
        spans = source_spans(records[i])
        found = alignment.carry(spans, records[i].text, draft.sentence, linked)
        places: dict[str, Offsets] = {}
        for id, place in found.items():
            if rearranged(spans, {**places, id: place}) is None:
                places[id] = place
        made[i] = replace(draft, places=places)
    return made


def _placed(record: Record, target: str, draft: Draft | str) -> Projected:
    if isinstance(draft, str):
        return Projected(record, None, {}, None, draft)
    spans = source_spans(record)
    matches = _matches(draft, spans)
    if any(span.id not in matches for span in spans):
        return Projected(record, draft.sentence, matches, None)
    places = {(span.start, span.end): (matches[span.id].start, matches[span.id].end) for span in spans}
    return Projected(record, draft.sentence, matches, carry_over(record, draft.sentence, target, places))


def _matches(draft: Draft, spans: Sequence[SourceSpan]) -> dict[str, Match]:
    if draft.places is None:
        return locate(draft.sentence, spans, draft.texts)
    places = dict(draft.places)
    while moved := rearranged(spans, places):
        del places[
            moved[1]
        ]  # of two that contradict each other, the one that begins first in the source stays
    return {id: Match(start, end, "verbatim") for id, (start, end) in places.items()}
