"""Every sentence of a run with gold, answers and errors, as ``sentences.jsonl`` beside the page; and an index of it.

A line is one record asked for one task: {"benchmark", "task", "id", "language", "gold": RECORD,
"answers": {SYSTEM: {"record": RECORD, "answer": "as it was written", "errors": [...]}}}. A system that was not asked
has no entry; one that gave nothing has a record without annotation.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record, read_records
from kcx_jax.corpora.jsonl import json_line, open_output
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.browser import Case
from kcx_jax.evaluation.runs.report.loaded import LoadedRun
from kcx_jax.evaluation.runs.report.selection import Entry, lot
from kcx_jax.schema import Task
from kcx_jax.scoring import ItemError, item_errors
from kcx_jax.scoring.tally import is_annotated

FILE = "sentences.jsonl"


@dataclass
class Sentences:
    """What stands in the file: its lines, how many items of each kind, the types and languages, most frequent first.

    `counts` is by task and system.
    """

    path: Path
    entries: list[Entry] = field(default_factory=list)
    counts: dict[tuple[Task, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    types: Counter[str] = field(default_factory=Counter)  # of items
    entity_types: Counter[str] = field(default_factory=Counter)  # of gold's mentions
    languages: Counter[str] = field(default_factory=Counter)

    def case(self, entry: Entry) -> Case:
        """A line as the browser takes it. Raises `KcxError` for a damaged one."""
        with self.path.open("rb") as handle:
            handle.seek(entry.offset)
            row = json.loads(handle.readline())
        where = f"{self.path}: {row['benchmark']}, {row['id']!r}"
        answers = {
            system: (Record.from_json(given["record"], f"{where}: {system}"), given["answer"])
            for system, given in row["answers"].items()
        }
        return Case(
            Record.from_json(row["gold"], f"{where}: gold"), row["task"], answers, source=row["benchmark"]
        )


def write_sentences(run: LoadedRun) -> Sentences:
    """Write the file of a results folder anew. Raises `KcxError` for records that do not belong to gold."""
    found = Sentences(run.results.root / FILE)
    with open_output(found.path, overwrite=True) as handle:
        offset = 0
        for row in _rows(run, found):
            line = json_line(row)
            handle.write(line)
            kinds = {error["kind"] for given in row["answers"].values() for error in given["errors"]}
            group = row["benchmark"], row["task"]
            found.entries.append(Entry(offset, group, frozenset(kinds), lot(*group, row["id"])))
            offset += len(line)
    return found


def _rows(run: LoadedRun, found: Sentences) -> Iterator[dict[str, Any]]:
    for benchmark in run.config.benchmarks:
        path = run.results.gold(benchmark.name)
        if not path.exists():
            continue
        for task in benchmark.tasks or ():
            yield from _task_rows(run, benchmark.name, task, path, found)


def _task_rows(
    run: LoadedRun, benchmark: str, task: Task, gold: Path, found: Sentences
) -> Iterator[dict[str, Any]]:
    paths = {
        system: run.results.records(system, benchmark, task)
        for system in run.systems
        if run.measured(system, benchmark, task)
    }
    predictions = {system: _Predictions(path) for system, path in paths.items() if path.exists()}
    if not predictions:
        return
    for record in read_records(gold, "jsonl"):
        if not is_annotated(record, task):
            continue
        bare = replace(record, meta={})
        answers = {system: _answer(bare, each.of(record), task) for system, each in predictions.items()}
        _count(found, bare, task, answers)
        yield {
            "benchmark": benchmark,
            "task": task,
            "id": record.id,
            "language": record.language,
            "gold": bare.to_json(),
            "answers": {
                system: {"record": given.to_json(), "answer": raw, "errors": [e.to_json() for e in errors]}
                for system, (given, raw, errors) in answers.items()
            },
        }
    for each in predictions.values():
        each.check_end()


Answer = tuple[Record, str, list[ItemError]]


def _answer(gold: Record, given: Record | None, task: Task) -> Answer:
    errors = item_errors(gold, given, task)
    if given is None:
        return Record(gold.id, gold.language, gold.text), "", errors
    raw = given.meta.get("answers")
    written = raw.get(task) if isinstance(raw, dict) else None
    kept = {key: value for key, value in given.meta.items() if key != "answers"}
    return replace(given, meta=kept), written if isinstance(written, str) else "", errors


def _count(found: Sentences, gold: Record, task: Task, answers: dict[str, Answer]) -> None:
    found.languages[gold.language] += 1
    found.entity_types.update(mention.type for mention in gold.entities or ())
    for system, (_, _, errors) in answers.items():
        found.counts[task, system].update(error.kind for error in errors)
        sides = (side for error in errors for side in (error.gold, error.predicted))
        found.types.update(side.type for side in sides if side is not None and side.type)


class _Predictions:
    """The predicted records of one file, taken in the order of gold; a record that it lacks is None."""

    def __init__(self, path: Path):
        self._path = path
        self._rows = iter(read_records(path, "jsonl"))
        self._next = next(self._rows, None)

    def of(self, gold: Record) -> Record | None:
        found = self._next
        if found is None or found.id != gold.id:
            return None
        if found.text != gold.text:
            raise KcxError(f"{self._path}: record {found.id!r} has another text than gold")
        self._next = next(self._rows, None)
        return found

    def check_end(self) -> None:
        if self._next is not None:
            raise KcxError(f"{self._path}: record {self._next.id!r} is not in gold, or not in its order")
