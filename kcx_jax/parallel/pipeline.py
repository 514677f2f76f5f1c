"""One record through the three stages, with one model after the other."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.llm import ChatClient, ReplyError
from kcx_jax.parallel import prompts
from kcx_jax.parallel.checks import Draft, Refusal, read_sentence, read_spans, read_translation
from kcx_jax.parallel.lengths import longest_reply
from kcx_jax.parallel.matching import Match, locate
from kcx_jax.parallel.outcomes import Outcome, Problem
from kcx_jax.parallel.spans import SourceSpan, carry_over, discontinuous, source_spans

# A refused reply is asked for again, with the reason, until a stage has asked so often.
TRIES = 2

T = TypeVar("T")


async def translate(record: Record, target: str, clients: Sequence[ChatClient]) -> Outcome:
    """Take `record` into the language `target`: every stage with the first client, then with the next.

    Raises what stops a run (`EndpointError`, `BudgetExceeded`, `NotAnswered`); anything else that goes wrong
    is in the outcome.
    """
    work = _Work(record, target)
    for index, client in enumerate(clients):
        stage = await work.stages(client)
        if work.resolved:
            return work.outcome(index, stage, work.pair(index, stage, client.model))
    return work.outcome(len(clients) - 1, stage, None)


class _Work:
    """The state of one record on its way."""

    def __init__(self, record: Record, target: str):
        self.record, self.target = record, target
        self.spans = source_spans(record)
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
        for span in self.missing:
            text = self.draft.texts[span.id]
            self._note(
                client, prompts.REWRITE_SENTENCE, "missing_span", f"{span.text!r} as {text!r} is not in it"
            )
        return prompts.REWRITE_SENTENCE

    async def _translate(self, client: ChatClient) -> bool:
        ids = [span.id for span in self.spans]
        data = prompts.translate_data(self.record, self.target, self.spans)
        draft = await self._ask(client, data, lambda text: read_translation(text, self.record.text, ids))
        if draft is not None:
            self._take(draft)
        return draft is not None

    async def _rewrite_spans(self, client: ChatClient, draft: Draft) -> None:
        ids = [span.id for span in self.missing]
        data = prompts.rewrite_spans_data(self.record, self.target, draft, self.missing)
        texts = await self._ask(client, data, lambda text: read_spans(text, ids))
        if texts is not None:
            self._take(Draft(draft.sentence, {**draft.texts, **texts}))

    async def _rewrite_sentence(self, client: ChatClient, draft: Draft) -> None:
        data = prompts.rewrite_sentence_data(self.record, self.target, draft, self.spans, self.missing)
        sentence = await self._ask(client, data, lambda text: read_sentence(text, self.record.text, draft))
        if sentence is not None:
            self._take(Draft(sentence, draft.texts))

    def _take(self, draft: Draft) -> None:
        self.draft = draft
        self.matches = locate(draft.sentence, self.spans, draft.texts)

    async def _ask(self, client: ChatClient, data: Mapping[str, Any], read: Callable[[str], T]) -> T | None:
        """The reply as `read` makes it, or None when every try was refused."""
        stage = data["stage"]
        refused: list[str] = []
        limit = longest_reply(data, client.thinks)
        for _ in range(TRIES):
            try:
                reply = await client.complete(
                    prompts.messages(data, refused),
                    prompts.REPLY_SCHEMAS[stage],
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
        }
        if pieces := discontinuous(self.record):
            provenance["discontinuous"] = pieces
        return ParallelRecord(self.record.id, self.record, target, provenance)

    def outcome(self, index: int, stage: str, pair: ParallelRecord | None) -> Outcome:
        """The record's end."""
        draft = None if pair else self.draft
        return Outcome(self.record, self.target, pair, index, stage, self.calls, tuple(self.problems), draft)
