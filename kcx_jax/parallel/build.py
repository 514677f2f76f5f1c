"""A run: records in, pairs out, everything between in one folder.

The folder holds ``ledger.db`` (every call), ``source.jsonl`` (what went in) and, when the run has come to its
end, ``parallel.jsonl``, ``unresolved.jsonl`` and ``statistics.json``. The ledger is the truth: the same
command continues from it, and `replay` makes the results anew from it without a call.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record, read_records, write_parallel, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write
from kcx_jax.llm import ChatClient, Ledger, LoopThread, NotAnswered
from kcx_jax.parallel.pipeline import Outcome, translate
from kcx_jax.parallel.statistics import Statistics

LEDGER, SOURCE, PARALLEL, UNRESOLVED, STATISTICS = (
    *("ledger.db", "source.jsonl", "parallel.jsonl", "unresolved.jsonl", "statistics.json"),
)

Progress = Callable[[Statistics], None]


@dataclass(frozen=True)
class BuildResult:
    """Pairs in the order of the input, cases for people, ids not finished (`replay` only), and counts."""

    pairs: list[ParallelRecord]
    unresolved: list[Outcome]
    pending: list[str]
    statistics: Statistics


def build(
    records: Iterable[Record],
    source: str,
    target: str,
    client: ChatClient,
    run_dir: str | Path,
    fallback: ChatClient | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Translate annotated `records` from `source` into `target` (BCP 47 tags) and write the run's folder.

    Every record goes through the three stages with `client`, then with `fallback`. A run that was stopped, by
    Ctrl-C or harder, goes on from `run_dir` and sends nothing twice that was answered. Blocks; works on
    `client.concurrency` records at once, and calls `progress` after each, from its own thread.

    Raises `KcxError` for records with an id twice, of another language, or inconsistent; when another process
    has the run; when the endpoint is of no use; and `BudgetExceeded` when its quota ends.
    """
    rows = _checked(records, source, target)
    run_dir = Path(run_dir)
    clients = [client] if fallback is None else [client, fallback]
    with Ledger(run_dir / LEDGER) as ledger:
        write_records(rows, run_dir / SOURCE, overwrite=True)
        ledger.start_run(
            {"source": source, "target": target, "models": [each.settings() for each in clients]}
        )
        result = _run(rows, target, [each.with_ledger(ledger) for each in clients], progress)
        _write(result, run_dir)
    return result


def replay(run_dir: str | Path) -> BuildResult:
    """What a run has so far, made from its ledger without a call, also while it is running.

    Raises `KcxError` when `run_dir` holds no run.
    """
    run_dir = Path(run_dir)
    with Ledger(run_dir / LEDGER, readonly=True) as ledger:
        config = ledger.run_config()
        if config is None:
            raise KcxError(f"the run in {run_dir} was not started. Run `kcx parallel build` first.")
        rows = list(read_records(run_dir / SOURCE, reader="jsonl"))
        clients = [ChatClient(**model, ledger=ledger, offline=True) for model in config["models"]]
        return _run(rows, config["target"], clients, None)


def _checked(records: Iterable[Record], source: str, target: str) -> list[Record]:
    if source == target:
        raise UsageError(f"source and target are the same language, {source!r}")
    rows = list(records)
    seen: set[str] = set()
    for record in rows:
        record.check(f"record {record.id!r}")
        if record.language != source:
            raise KcxError(
                f"record {record.id!r} is in {record.language!r}, not in the source language {source!r}"
            )
        if record.id in seen:
            raise KcxError(f"two records have the id {record.id!r}; a run joins its results by id")
        if not record.text.strip():
            raise KcxError(f"record {record.id!r} has no text")
        seen.add(record.id)
    return rows


def _run(
    rows: Sequence[Record], target: str, clients: Sequence[ChatClient], progress: Progress | None
) -> BuildResult:
    statistics = Statistics([client.model for client in clients], len(rows))
    outcomes: list[Outcome | None] = [None] * len(rows)
    queue = iter(enumerate(rows))

    async def worker() -> None:
        for i, record in queue:  # shared by all workers: each takes the next record
            try:
                outcome = await translate(record, target, clients)
            except NotAnswered:
                continue
            outcomes[i] = outcome
            statistics.add(outcome)
            if progress is not None:
                progress(statistics)

    async def work() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(clients[0].concurrency):
                    group.create_task(worker())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first one ended the others
        finally:
            for client in clients:
                await client.aclose()

    with LoopThread() as loop:
        loop.submit(work()).result()
    done = [outcome for outcome in outcomes if outcome is not None]
    return BuildResult(
        pairs=[outcome.pair for outcome in done if outcome.pair is not None],
        unresolved=[outcome for outcome in done if outcome.pair is None],
        pending=[row.id for row, outcome in zip(rows, outcomes, strict=True) if outcome is None],
        statistics=statistics,
    )


def _write(result: BuildResult, run_dir: Path) -> None:
    write_parallel(result.pairs, run_dir / PARALLEL, overwrite=True)
    with atomic_write(run_dir / UNRESOLVED, overwrite=True) as handle:
        for outcome in result.unresolved:
            handle.write(json.dumps(case_for_people(outcome)) + "\n")
    with atomic_write(run_dir / STATISTICS, overwrite=True) as handle:
        json.dump(result.statistics.to_json(), handle, ensure_ascii=False, indent=1)


def case_for_people(outcome: Outcome) -> dict[str, Any]:
    """An unresolved record as JSON values: the source, the last draft (or null) and why it was not taken."""
    draft = outcome.draft
    return {
        "id": outcome.record.id,
        "source": outcome.record.to_json(),
        "draft": None if draft is None else {"sentence": draft.sentence, "spans": dict(draft.texts)},
        "problems": [asdict(problem) for problem in outcome.problems],
    }
