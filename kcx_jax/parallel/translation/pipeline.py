"""One record through the three stages, with one model after the other."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.llm import ChatClient, ReplyError
from kcx_jax.parallel.translation import invariants, prompts
from kcx_jax.parallel.translation.checks import (
    Draft,
    read_sentence,
    read_spans,
    read_tagged,
    read_translation,
)
from kcx_jax.parallel.translation.glossary import Glossary, pinned, same_wording
from kcx_jax.parallel.translation.lengths import longest_reply
from kcx_jax.parallel.translation.matching import Match, disagreements, locate
from kcx_jax.parallel.translation.outcomes import Outcome, Problem
from kcx_jax.parallel.translation.refusal import Refusal
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan, carry_over, discontinuous, source_spans

# A refused reply is asked for again, with the reason, until a stage has asked so often.
TRIES = 2

T = TypeVar("T")


async def translate(
    record: Record,
    target: str,
    clients: Sequence[ChatClient],
    *,
    variant: str = prompts.JOINT,
    glossary: Glossary | None = None,
    identify: invariants.Identify | None = None,
) -> Outcome:
    """Take `record` into the language `target`: every stage with the first client, then with the next.

    `variant` (of `prompts.VARIANTS`) is how stage 1 asks; the `glossary` (its source surfaces in NFC) settles the
    wording of spans; `identify` (`language_id.load_identifier`) also checks the language of a sentence. A pair's
    provenance says what was used.

    Raises what stops a run (`EndpointError`, `BudgetExceeded`, `NotAnswered`), and `UsageError` for an unknown
    variant; anything else that goes wrong is in the outcome.
    """
    prompts.check_variant(variant)
    work = _Work(record, target, variant, glossary or {}, identify)
    for index, client in enumerate(clients):
        stage = await work.stages(client)
        if work.resolved:
            return work.outcome(index, stage, work.pair(index, stage, client.model))
    return work.outcome(len(clients) - 1, stage, None)


class _Work:
    """The state of one record on its way."""

    def __init__(
        self,
        record: Record,
        target: str,
        variant: str,
        glossary: Glossary,
        identify: invariants.Identify | None,
    ):
        self.record, self.target, self.variant, self.identify = record, target, variant, identify
        self.spans = source_spans(record)
        self.pinned = pinned(glossary, target, self.spans)
        self.calls = 0
        self.problems: list[Problem] = []
        self.draft: Draft | None = None
        self.matches: dict[str, Match] = {}

    @property
    def missing(self) -> list[SourceSpan]:
        return [span for span in self.spans if span.id not in self.matches]

    @property
    def resolved(self) -> bool:
        return self.draft is not None and not self.missing

    async def stages(self, client: ChatClient) -> str:
        """Run the stages until one resolves the record; returns the last one run."""
        if not await self._translate(client) or self.draft is None or self.resolved:
            return prompts.TRANSLATE
        await self._rewrite_spans(client, self.draft)
        if self.resolved:
            return prompts.REWRITE_SPANS
        await self._rewrite_sentence(client, self.draft)
        if not self.resolved:
            self._take(self.draft, flagged=True)
        for span in self.missing:
            text = self.draft.texts[span.id]
            self._note(
                client, prompts.REWRITE_SENTENCE, "missing_span", f"{span.text!r} as {text!r} is not in it"
            )
        return prompts.REWRITE_SENTENCE

    async def _translate(self, client: ChatClient) -> bool:
        ids = [span.id for span in self.spans]
        data = prompts.translate_data(self.record, self.target, self.spans, self.variant, self.pinned)
        read = read_tagged if self.variant == prompts.XML else read_translation
        draft = await self._ask(client, data, lambda text: self._checked(read(text, self.record.text, ids)))
        if draft is not None:
            self._take(draft)
        return draft is not None

    async def _rewrite_spans(self, client: ChatClient, draft: Draft) -> None:
        spans = [span for span in self.missing if span.id not in self.pinned]
        if not spans:
            return  # what is settled stays: the sentence has to change
        ids = [span.id for span in spans]
        data = prompts.rewrite_spans_data(self.record, self.target, draft, spans)
        texts = await self._ask(client, data, lambda text: read_spans(text, ids))
        if texts is not None:
            self._take(Draft(draft.sentence, {**draft.texts, **texts}))

    async def _rewrite_sentence(self, client: ChatClient, draft: Draft) -> None:
        data = prompts.rewrite_sentence_data(self.record, self.target, draft, self.spans, self.missing)

        def read(text: str) -> Draft:
            return self._checked(Draft(read_sentence(text, self.record.text, draft), draft.texts))

        mended = await self._ask(client, data, read)
        if mended is not None:
            self._take(mended)

    def _checked(self, draft: Draft) -> Draft:
        """The draft, if it keeps what a translation has to keep; else raises `Refusal`."""
        invariants.check(self.record, self.target, self.spans, draft, self.identify)
        for name, wording in self.pinned.items():
            if not same_wording(draft.texts[name], wording):
                raise Refusal("glossary", f"the translation of span {name} is settled: {wording!r}")
        if draft.places is not None:
            matches = _tags(draft.places)
            for span in self.spans:
                if disagreements(span, matches[span.id], self.spans, matches):
                    raise Refusal("wrong_nesting", f"<{span.id}> stands to the others as in no source")
        return draft

    def _take(self, draft: Draft, flagged: bool = False) -> None:
        if draft.places is not None:
            found = _tags(draft.places)
        else:
            found = locate(draft.sentence, self.spans, draft.texts, flagged)
        surfaces = {name: draft.sentence[match.start : match.end] for name, match in found.items()}
        self.draft = draft
        self.matches = {
            name: match
            for name, match in found.items()
            if name not in self.pinned or same_wording(surfaces[name], self.pinned[name])
        }

    async def _ask(self, client: ChatClient, data: Mapping[str, Any], read: Callable[[str], T]) -> T | None:
        """The reply as `read` makes it, or None when every try was refused."""
        stage = data["stage"]
        refused: list[str] = []
        limit = longest_reply(data, client.thinks)
        for _ in range(TRIES):
            try:
                reply = await client.complete(
                    prompts.messages(data, refused),
                    prompts.REPLY_SCHEMAS[prompts.form(data)],
                    max_tokens=limit,
                    stage=stage,
                    record=self.record.id,
                )
            except ReplyError as error:
                self._note(client, stage, error.error_class, str(error))
                return None
            self.calls += reply.attempts
            try:
                if reply.finish_reason == "length":
                    limit *= 2
                    raise Refusal("truncated", "the reply was cut; be brief")
                return read(reply.text)
            except Refusal as refusal:
                refused.append(refusal.detail)
                self._note(client, stage, refusal.kind, refusal.detail)
        return None

    def _note(self, client: ChatClient, stage: str, kind: str, detail: str) -> None:
        self.problems.append(Problem(client.model, stage, kind, detail))

    def pair(self, index: int, stage: str, model: str) -> ParallelRecord:
        """The finished pair with where it came from."""
        assert self.draft is not None
        places = {
            (span.start, span.end): (self.matches[span.id].start, self.matches[span.id].end)
            for span in self.spans
        }
        target = carry_over(self.record, self.draft.sentence, self.target, places)
        target.check(f"record {self.record.id!r}, translated")
        provenance: dict[str, Any] = {
            "model": model,
            "round": index,
            "stage": stage,
            "calls": self.calls,
            "rungs": dict(Counter(match.rung for match in self.matches.values())),
            "variant": self.variant,
        }
        if flags := self._flags(self.draft):
            provenance["flags"] = flags
        if self.pinned:
            provenance["glossary"] = {
                span.text: self.pinned[span.id] for span in self.spans if span.id in self.pinned
            }
        if pieces := discontinuous(self.record):
            provenance["discontinuous"] = pieces
        return ParallelRecord(self.record.id, self.record, target, provenance)

    def _flags(self, draft: Draft) -> dict[str, Any]:
        flags = invariants.notes(self.record, self.target, self.spans, draft)
        for name, match in self.matches.items():
            for flag in match.flags:
                flags.setdefault(flag, []).append(name)
        return flags

    def outcome(self, index: int, stage: str, pair: ParallelRecord | None) -> Outcome:
        """The record's end."""
        draft = None if pair else self.draft
        return Outcome(self.record, self.target, pair, index, stage, self.calls, tuple(self.problems), draft)


def _tags(places: Mapping[str, Offsets]) -> dict[str, Match]:
    return {name: Match(start, end, "tag") for name, (start, end) in places.items()}
