"""Questions to the model on behalf of a method, with what they cost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kcx_jax.corpora import Record
from kcx_jax.llm import ChatClient, ReplyError
from kcx_jax.parallel.projection import requests
from kcx_jax.parallel.translation import invariants
from kcx_jax.parallel.translation.checks import Refusal, read_spans, read_translation
from kcx_jax.parallel.translation.lengths import longest_reply
from kcx_jax.parallel.translation.pipeline import TRIES
from kcx_jax.parallel.translation.spans import SourceSpan, source_spans

T = TypeVar("T")


@dataclass
class Cost:
    """What was asked: replies read and their tokens. `unknown_usage`: replies whose tokens the endpoint did not say.

    The same question about two records is one question: the ledger answers it the second time.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unknown_usage: int = 0


class NoAnswer(Exception):
    """Every try at a question was refused, or got no reply; the message says why."""


class Asker:
    """Asks `client` for translations into the language `target`; `cost` grows with every new question."""

    def __init__(self, client: ChatClient, target: str):
        self._client, self._target = client, target
        self._asked: set[str] = set()
        self.cost = Cost()

    async def sentence(self, record: Record) -> str:
        """The record's text, translated. Raises `NoAnswer`."""
        data = requests.sentence_data(record, self._target)
        return await self._ask(record, data, self._sentence_of(record))

    def _sentence_of(self, record: Record) -> Callable[[str], str]:
        def read(text: str) -> str:
            draft = read_translation(text, record.text, [])
            invariants.check(record, self._target, source_spans(record), draft, None)
            return draft.sentence

        return read

    async def span(self, record: Record, span: SourceSpan) -> str:
        """The span's text, translated alone. Raises `NoAnswer`."""
        data = requests.span_data(record, self._target, span)
        return await self._ask(record, data, lambda text: read_spans(text, ["s0"])["s0"])

    async def find(self, record: Record, translation: str, span: SourceSpan) -> str:
        """The words of `translation` that render the span. Raises `NoAnswer`."""
        data = requests.find_data(record, self._target, translation, span)
        return await self._ask(record, data, lambda text: read_spans(text, [span.id])[span.id])

    async def marked(self, record: Record, marked: str, marks: str, read: Callable[[str], T]) -> T:
        """The marked text, translated, as `read` takes it apart (or raises `Refusal`). Raises `NoAnswer`."""
        data = requests.marked_data(record, self._target, marked, marks)
        return await self._ask(record, data, lambda text: read(read_translation(text, marked, []).sentence))

    async def _ask(self, record: Record, data: Mapping[str, Any], read: Callable[[str], T]) -> T:
        stage = data["stage"]
        refused: list[str] = []
        limit = longest_reply(data, self._client.thinks)
        for _ in range(TRIES):
            question = requests.messages(data, refused)
            try:
                reply = await self._client.complete(
                    question, requests.reply_schema(stage), max_tokens=limit, stage=stage, record=record.id
                )
            except ReplyError as error:
                raise NoAnswer(f"{stage}: {error}") from None
            self._count(question, reply.attempts, reply.usage.input_tokens, reply.usage.output_tokens)
            try:
                if reply.finish_reason == "length":
                    limit *= 2
                    raise Refusal("truncated", "the reply was cut; be brief")
                return read(reply.text)
            except Refusal as refusal:
                refused.append(refusal.detail)
        raise NoAnswer(f"{stage}: {refused[-1]}")

    def _count(
        self, question: list[dict[str, str]], replies: int, read: int | None, written: int | None
    ) -> None:
        key = json.dumps(question)
        if key in self._asked:
            return
        self._asked.add(key)
        self.cost.calls += replies
        self.cost.unknown_usage += read is None or written is None
        self.cost.input_tokens += read or 0
        self.cost.output_tokens += written or 0
