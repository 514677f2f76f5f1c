"""A chat model as a system of a run: asked in code or in JSON, with a ledger for each benchmark and one budget."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.corpora.pairs import pair_of
from kcx_jax.evaluation.runs.benchmark import Benchmark
from kcx_jax.evaluation.runs.config import ChatSystem, Endpoint
from kcx_jax.evaluation.runs.json_prompt import conversation
from kcx_jax.evaluation.runs.models import extracted
from kcx_jax.evaluation.runs.systems import Prediction, System
from kcx_jax.extraction import Extractor
from kcx_jax.extraction.chat import ChatAnswers
from kcx_jax.llm import Budget, ChatClient, Ledger, Reply, ReplyError, Spent, judge_answers, load_prices
from kcx_jax.schema import ParsedAnswer, Schema, Task
from kcx_jax.scoring.raw import grounded_answer, parse_raw
from kcx_jax.scoring.raw.claims import Labels

LEDGER = "ledger.db"


class ChatModel(System):
    """A chat model behind an OpenAI-compatible endpoint. Nothing that was answered is paid for again."""

    def __init__(self, settings: ChatSystem, folder: Path):
        self._settings, self._folder = settings, folder

    def predict(
        self, benchmark: Benchmark, task: Task, folder: Path, records: Iterable[Record]
    ) -> Iterator[Prediction]:
        """See `System.predict`. Raises `BudgetExceeded` when the budget of all benchmarks together is spent."""
        with Ledger(folder / LEDGER) as ledger:
            (client,) = self._settings.clients(self._settings.model, temperature=self._settings.temperature)
            client = within_budget(client, self._settings, ledger, self._folder, folder)
            if self._settings.style == "code":
                extractor = Extractor(ChatAnswers(client, self._settings.max_tokens))
                yield from extracted(extractor, benchmark, task, records)
            else:
                yield from self._in_json(client, benchmark, task, records)

    def _in_json(
        self, client: ChatClient, benchmark: Benchmark, task: Task, records: Iterable[Record]
    ) -> Iterator[Prediction]:
        asked, kept = tee(records)
        schema, pair = benchmark.schema_for(task), benchmark.gives_pair(task)
        labels = Labels(schema)
        conversations = (
            conversation(schema, task, record.text, pair_of(record) if pair else ()) for record in asked
        )
        replies = client.complete_many(conversations, max_tokens=self._settings.max_tokens, stage="evaluate")
        for record, reply in zip(kept, replies, strict=False):
            yield _read(record, reply, schema, task, labels)


def _read(
    record: Record, reply: Reply | ReplyError, schema: Schema, task: Task, labels: Labels
) -> Prediction:
    if isinstance(reply, ReplyError):
        problem = {"task": task, "kind": "no_answer", "detail": str(reply)}
        empty = grounded_answer(ParsedAnswer((), ()), record, task)
        return Prediction("", _with_problem(empty, problem))
    parsed = parse_raw(reply.text, "chat", task, labels, schema, record.text)
    return Prediction(reply.text, grounded_answer(parsed, record, task))


def _with_problem(record: Record, problem: dict[str, Any]) -> Record:
    return replace(record, meta={**record.meta, "parse_problems": [problem]})


def within_budget(
    client: ChatClient, settings: Endpoint, ledger: Ledger, system: Path, own: Path
) -> ChatClient:
    """The client, whose calls stand in `ledger` and cost at most what the other ledgers of the `system`'s folder leave
    of its budget; `own` is the folder with `ledger`.
    """
    judge_answers(ledger, load_prices(settings.prices).__getitem__)
    limit = settings.nano_budget
    if limit is not None:
        limit = max(0, limit - _spent_elsewhere(system, own))
    return client.within(ledger, Budget(limit, ledger.spent()))


def _spent_elsewhere(system: Path, own: Path) -> int:
    """What the other parts of a system's work cost so far, at the most, in billionths of a dollar."""
    total = Spent()
    for path in sorted(system.glob(f"*/{LEDGER}")):
        if path.parent != own:
            with Ledger(path, readonly=True) as ledger:
                total += ledger.spent()
    return total.known + total.possible
