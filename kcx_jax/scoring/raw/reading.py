"""Files of raw answers -> predicted records: JSON lines with an id (or in the order of gold) and the answer."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record, read_records
from kcx_jax.corpora.json_object import JsonObject, kind_of
from kcx_jax.corpora.jsonl import read_json_lines
from kcx_jax.corpora.pairs import pair_places
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import TASKS, ParsedAnswer, Schema, Task
from kcx_jax.scoring.gold_schema import schema_of
from kcx_jax.scoring.grounding import ground
from kcx_jax.scoring.raw.claims import Labels
from kcx_jax.scoring.raw.systems import SYSTEMS, parse_raw
from kcx_jax.scoring.tally import is_annotated

ANSWER_KEYS = (
    "output",
    "prediction",
    "predictions",
    "response",
    "answer",
    "generated_text",
    "completion",
)
_ASKED_KEYS = ("type", "entity_type", "event_type", "label")
_TASK_NAMES = {
    "ner": "ner",
    "re": "re",
    "spo": "re",
    "ed": "ed",
    "eet": "ed",
    "ee": "eae",
    "eea": "eae",
    "eae": "eae",
}


@dataclass(frozen=True)
class _Line:
    """A line of a file of answers."""

    where: str
    id: str
    answer: str
    task: Task | None
    asked: str | None
    trigger: str | None


def holds_answers(path: Path) -> bool:
    """Whether a file holds raw answers rather than records, by its first line."""
    _, first = next(read_json_lines(path), ("", None))
    return isinstance(first, dict) and any(key in first for key in ANSWER_KEYS)


def read_answers(
    path: Path,
    gold: Path,
    system: str = "auto",
    schema: Schema | None = None,
    inventory: str | None = None,
    task: str | None = None,
    ladder: bool = False,
) -> Iterator[Record]:
    """The predicted records that raw answers stand for, grounded in the texts of the gold records.

    A relation between the two mentions that a gold record asks about (``meta["pair"]``) stands at their places.

    A line is an object with the answer under one of `ANSWER_KEYS` and, beside it, "id" (none: the n-th line
    answers the n-th gold record), "task", the one "type" that was asked for, and the "trigger". Lines of one
    id that follow one another are one answer.

    Args:
        schema: the classes; None: those of gold. inventory: what maps the system's labels to classes; None:
            they are compared with class names and labels. task: of lines that do not name theirs; None: the
            only one that gold is annotated for. ladder: find surfaces by looser forms too (`ground`).

    Raises `KcxError` naming file and line, `UsageError` for an unknown system or task.
    """
    if system not in SYSTEMS:
        raise UsageError(f"unknown format of predictions {system!r}; known: records, {', '.join(SYSTEMS)}")
    if task is not None and task not in TASKS:
        raise UsageError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    records = {record.id: record for record in read_records(gold, "jsonl")}
    classes = schema if schema is not None else schema_of(records.values())
    labels = Labels(classes, inventory)
    usual = task or _only_task(records.values())
    for id, group in groupby(_lines(path, list(records)), key=lambda line: line.id):
        lines = list(group)
        if id not in records:
            raise KcxError(f"{lines[0].where}: id: no gold record has the id {id!r}")
        yield _record(records[id], lines, system, usual, labels, classes, ladder)


def _lines(path: Path, ids: list[str]) -> Iterator[_Line]:
    for number, (where, value) in enumerate(read_json_lines(path)):
        row = JsonObject(value, where)
        if "id" not in row.value and number >= len(ids):
            raise KcxError(f"{where}: a line without an id, and gold has only {len(ids)} records")
        id = row.value.get("id", ids[number] if number < len(ids) else None)
        if isinstance(id, int) and not isinstance(id, bool):
            id = str(id)
        if not isinstance(id, str):
            raise row.error("id", f"must be a string or a number, not {kind_of(id)}")
        task = row.value.get("task")
        if task is not None and str(task).casefold() not in _TASK_NAMES:
            raise row.error("task", f"unknown task {str(task)[:40]!r}; known: {', '.join(_TASK_NAMES)}")
        name: Any = None if task is None else _TASK_NAMES[str(task).casefold()]
        asked, trigger = _string(row.value, _ASKED_KEYS), _string(row.value, ("trigger",))
        yield _Line(where, id, _answer(row), name, asked, trigger)


def _answer(row: JsonObject) -> str:
    """The answer's text; a JSON value that is no string stands for its own text."""
    for key in ANSWER_KEYS:
        if key in row.value:
            value = row.value[key]
            if isinstance(value, str):
                return value
            if isinstance(value, dict | list):
                return json.dumps(value, ensure_ascii=False)
            raise row.error(key, f"must be a string, an object or a list, not {kind_of(value)}")
    raise row.error("output", f"is missing; an answer stands under one of: {', '.join(ANSWER_KEYS)}")


def _string(row: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((row[key] for key in keys if isinstance(row.get(key), str)), None)


def _only_task(gold: Iterable[Record]) -> Task | None:
    there = {task for record in gold for task in TASKS if is_annotated(record, task)}
    if there == {"ed", "eae"}:
        return "eae"
    return next(iter(there)) if len(there) == 1 else None


def _record(
    gold: Record, lines: list[_Line], system: str, usual: Any, labels: Labels, schema: Schema, ladder: bool
) -> Record:
    tasks = {line.task or usual for line in lines}
    if len(tasks) > 1 or None in tasks:
        names = ", ".join(TASKS)
        raise KcxError(
            f"{lines[0].where}: which task is this an answer to? Give --task or a key task: {names}"
        )
    (task,) = tasks
    parsed = [
        parse_raw(line.answer, system, task, labels, schema, gold.text, line.asked, line.trigger)
        for line in lines
    ]
    answer = ParsedAnswer(
        tuple(chain.from_iterable(each.instances for each in parsed)),
        tuple(chain.from_iterable(each.problems for each in parsed)),
    )
    options: dict[str, Any] = {"id": gold.id, "language": gold.language, "ladder": ladder}
    pair = pair_places(gold)
    record = ground(
        answer.instances, gold.text, task=task, problems=answer.problems, pair=pair, **options
    ).record
    if task != "eae":
        return record
    # The triggers of an event's answer are also scored as such, lost ones included.
    problems = [problem for problem in answer.problems if problem.kind != "wrong_argument"]
    # Several events may share one, so each counts once here.
    named = {(type(each).__name__, getattr(each, "trigger", None)): each for each in answer.instances}
    triggers = ground(named.values(), gold.text, task="ed", problems=problems, **options).record
    keys = ("unresolved", "parse_problems", "loose")
    meta = {key: [*record.meta.get(key, []), *triggers.meta.get(key, [])] for key in keys}
    return replace(record, meta={key: value for key, value in meta.items() if value})
