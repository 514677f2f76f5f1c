"""The scores of one system on one benchmark, with their intervals, as they stand in ``scores.json``."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record, read_records
from kcx_jax.evaluation.runs.benchmark import Benchmark
from kcx_jax.prompts import exemplar_overlap
from kcx_jax.schema import Task
from kcx_jax.scoring import Scores, score
from kcx_jax.scoring.tally import entries


def scores_json(benchmark: Benchmark, predicted: dict[Task, Path], mode: str, samples: int) -> dict[str, Any]:
    """What `kcx score` counts, task by task: each task's answers are scored alone.

    Beside mode strict stands mode text. `samples` draws give the intervals. ``exemplars`` says how many of gold's
    mentions and triggers the prompt shows as exemplars, ``unanswered`` how many records got no answer. Raises
    `KcxError` as `score` does.
    """
    overlap = exemplar_overlap(benchmark.schema, benchmark.gold)
    return {
        "benchmark": benchmark.settings.name,
        "mode": mode,
        "records": len(benchmark.gold),
        "exemplars": {"mentions": overlap.mentions, "shown": overlap.exemplars, "share": overlap.share},
        "tasks": {
            task: _task_json(benchmark.gold, path, task, mode, samples) for task, path in predicted.items()
        },
    }


def _task_json(gold: Sequence[Record], path: Path, task: Task, mode: str, samples: int) -> dict[str, Any]:
    found = score_file(gold, path, task, mode)
    value = found.to_json()
    value["unanswered"] = unanswered(read_records(path, "jsonl"), task)
    value["resampling"] = {unit: found.resampling_json(unit, samples) for unit in found.units}
    if mode == "strict":
        value["text"] = score(gold, read_records(path, "jsonl"), [task], "text").to_json()
    return value


def unanswered(predicted: Iterable[Record], task: Task) -> int:
    """How many records stand for questions to which no answer came."""
    problems = (entries(record, "parse_problems", task) for record in predicted)
    return sum(any(entry.get("kind") == "no_answer" for entry in each) for each in problems)


def score_file(gold: Sequence[Record], path: Path, task: Task, mode: str) -> Scores:
    """The scores of a file of predicted records, with the counts of every record."""
    return score(gold, read_records(path, "jsonl"), [task], mode, by_record=True)
