"""A run: records in, pairs out, everything between in one folder.

The folder holds ``ledger.db`` (the input, every call, and how each record ended) and, when the run has come to
its end, ``parallel.jsonl``, ``unresolved.jsonl`` and ``statistics.json``; with several target languages the
first two are files of their own for each, ``parallel.zh.jsonl``. The ledger is the truth: the same command
continues from it, and the files can be made anew from it without a call.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.corpora.jsonl import json_line
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write
from kcx_jax.llm import Budget, ChatClient, Ledger, NotAnswered, Prices, judge_answers
from kcx_jax.llm.crash import crash_point
from kcx_jax.parallel.runs.duplicates import as_duplicate
from kcx_jax.parallel.runs.run import LEDGER, PARALLEL, SHARD, STATISTICS, UNRESOLVED, Run
from kcx_jax.parallel.runs.settings import Settings
from kcx_jax.parallel.runs.statistics import Statistics
from kcx_jax.parallel.runs.workers import work_through
from kcx_jax.parallel.runs.worklist import Worklist
from kcx_jax.parallel.translation import prompts
from kcx_jax.parallel.translation.languages import check_tag
from kcx_jax.parallel.translation.outcomes import Outcome
from kcx_jax.parallel.translation.pipeline import translate

Progress = Callable[[Statistics, Budget], None]


def build(
    records: Iterable[Record],
    source: str,
    targets: str | Sequence[str],
    client: ChatClient,
    run_dir: str | Path,
    fallback: ChatClient | None = None,
    progress: Progress | None = None,
    *,
    settings: Settings | None = None,
    budget: int | None = None,
    shard: tuple[int, int] | None = None,
) -> Run:
    """Translate annotated `records` from `source` into `targets` (BCP 47 tags) and write the run's folder.

    Every record goes through the three stages with `client`, then with `fallback`; one with the content of an earlier
    one takes its result. A run that was stopped, by
    Ctrl-C or harder, goes on from `run_dir` and sends nothing twice that was answered. `settings` say how it
    translates. `budget` caps what the
    whole run may cost, in billionths of a dollar. `shard` is kept with the run: that `records` are part I of N of a
    corpus (`in_shard`). Blocks; works on `client.concurrency` records at once, and
    calls `progress` after each, from its own thread.

    Raises `KcxError` for records with an id twice, of another language, or inconsistent; when another process
    has the run; when the endpoint is of no use; and `BudgetExceeded` when its quota or the budget ends. Ctrl-C
    and SIGTERM let requests under way come to their end and raise `KeyboardInterrupt`; a second one does not
    wait.
    """
    targets = [targets] if isinstance(targets, str) else list(dict.fromkeys(targets))
    for language in (source, *targets):
        check_tag(language)
    if source in targets:
        raise UsageError(f"source and target are the same language, {source!r}")
    settings = settings or Settings()
    run_dir = Path(run_dir)
    clients = [client] if fallback is None else [client, fallback]
    config = {
        "source": source,
        "targets": targets,
        "models": [each.settings() for each in clients],
        "prompts": _digest_of_prompts(),
        "translation": settings.to_json(),
    }
    with Ledger(run_dir / LEDGER) as ledger:
        worklist = Worklist(ledger)
        worklist.fill(_checked(records, source), targets, config)
        ledger.start_run(config if shard is None else {**config, SHARD: list(shard)})
        prices = {each.model: each.price for each in clients}
        judge_answers(ledger, prices.get)
        shared = Budget(budget, ledger.spent())
        work = Work(worklist, [each.within(ledger, shared) for each in clients], settings, shared, progress)
        work.run()
        ledger.store.flush()
        statistics = write_results(Run(run_dir, worklist, ledger))
    return Run.open(run_dir, statistics)


def revalidate(run_dir: str | Path, prices: Prices | None = None) -> Run:
    """Judge every reply of a run anew by the rules of today, without a call; writes the folder's files again.

    With `prices` every call is billed anew too.

    Records for whose requests the ledger has no answer are pending afterwards. Raises `KcxError` when
    `run_dir` holds no run, or another process works on it.
    """
    run_dir = Path(run_dir)
    with Ledger(run_dir / LEDGER, readonly=True) as ledger:
        config = Run.config_of(ledger, run_dir)
    with Ledger(run_dir / LEDGER) as ledger:
        clients = [ChatClient(**model, ledger=ledger, offline=True) for model in config["models"]]
        worklist = Worklist(ledger)
        worklist.reopen()
        if prices is not None:
            judge_answers(ledger, prices.__getitem__, all=True)
        Work(worklist, clients, Settings(**config["translation"]), Budget(None, ledger.spent()), None).run()
        ledger.store.flush()
        statistics = write_results(Run(run_dir, worklist, ledger))
    return Run.open(run_dir, statistics)


def _checked(records: Iterable[Record], source: str) -> Iterator[Record]:
    for record in records:
        record.check(f"record {record.id!r}")
        if record.language != source:
            raise KcxError(
                f"record {record.id!r} is in {record.language!r}, not in the source language {source!r}"
            )
        if not record.text.strip():
            raise KcxError(f"record {record.id!r} has no text")
        yield record


def _digest_of_prompts() -> str:
    text = json.dumps([prompts.INSTRUCTIONS, prompts.REPLY_SCHEMAS], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Work:
    """Takes the pending records of a run to their end, as many at once as the first client says."""

    def __init__(
        self,
        worklist: Worklist,
        clients: Sequence[ChatClient],
        settings: Settings,
        budget: Budget,
        progress: Progress | None,
    ):
        self._worklist, self._clients, self._budget, self._progress = worklist, clients, budget, progress
        self._options = settings.options()
        models = [client.model for client in clients]
        self._statistics = Statistics(models, sum(worklist.counts().values()), worklist.duplicates())

    def run(self) -> None:
        """Blocks until all is done; raises what stopped the work, once nothing is under way any more."""
        for outcome in self._worklist.ended():
            self._statistics.add(outcome)
        try:
            work_through(self._worklist.to_translate(), self._translate, self._clients)
        finally:  # also of what was done before something stopped the work
            for record, outcome in self._worklist.to_take_over():
                self._finish(as_duplicate(outcome, record))

    async def _translate(self, item: tuple[Record, str]) -> None:
        try:
            outcome = await translate(*item, self._clients, **self._options)
        except NotAnswered:
            return
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        self._worklist.finish(outcome)
        self._statistics.add(outcome)
        if self._progress is not None:
            self._progress(self._statistics, self._budget)


def write_results(run: Run) -> Statistics:
    """Write the files of a run's folder in one pass over its ledger, each in one step; returns what was counted.

    What an earlier start wrote for other target languages goes.
    """
    statistics = run.nothing_counted()
    with ExitStack() as stack:
        pairs, cases = (
            {
                target: stack.enter_context(atomic_write(path, "wb", overwrite=True))
                for target, path in run.files(name).items()
            }
            for name in (PARALLEL, UNRESOLVED)
        )
        for outcome in run.outcomes():
            statistics.add(outcome)
            if outcome.pair is not None:
                pairs[outcome.target].write(json_line(outcome.pair.to_json()))
            else:
                cases[outcome.target].write(json_line(case_for_people(outcome)))
        crash_point("during_export")
    with atomic_write(run.folder / STATISTICS, overwrite=True) as handle:
        json.dump(statistics.to_json(), handle, ensure_ascii=False, indent=1)
    for path in run.files_of_before(PARALLEL) | run.files_of_before(UNRESOLVED):
        path.unlink(missing_ok=True)
    return statistics


def case_for_people(outcome: Outcome) -> dict[str, Any]:
    """An unresolved record as JSON values: the source, the last draft (or null), why it was not taken, and
    of which record it is a duplicate (or null)."""
    draft = outcome.draft
    return {
        "id": outcome.record.id,
        "target_language": outcome.target,
        "source": outcome.record.to_json(),
        "draft": None if draft is None else {"sentence": draft.sentence, "spans": dict(draft.texts)},
        "problems": [asdict(problem) for problem in outcome.problems],
        "duplicate_of": outcome.duplicate_of,
    }
