"""Files of raw answers -> predicted records: JSON lines with an id (or in the order of gold) and the answer."""

import contextlib
import json
import unicodedata
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
from kcx_jax.scoring.raw.json_answers import parse_json
from kcx_jax.scoring.raw.span_answers import spans_at_offsets
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
TEXT_KEYS = ("text", "sentence", "input")
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
    text: str | None
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
    gold: Path | Iterable[Record],
    system: str = "auto",
    schema: Schema | None = None,
    inventory: str | None = None,
    task: str | None = None,
    ladder: bool = False,
) -> Iterator[Record]:
    """The predicted records that raw answers stand for, grounded in the texts of the gold records.

    A relation between the two mentions that a gold record asks about (``meta["pair"]``) stands at their places.

    A line is an object with the answer under one of `ANSWER_KEYS` and, beside it, "id", "task", the one "type" that
    was asked for, and the "trigger". An id that no gold record has is the system's own: then the text that it was
    asked about tells the record (under one of `TEXT_KEYS`, or in IEPile's instruction). Without an id and such a text
    the n-th line answers the n-th gold record. A text must be that of its record, a part of it, or a prompt that holds
    it, but for white space. Lines of one record that follow one another are one answer; lines of another task than
    `task` are left out. GLiNER's spans stand at the offsets that it gives.

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
    given = read_records(gold, "jsonl") if isinstance(gold, Path) else gold
    records = {record.id: record for record in given}
    classes = schema if schema is not None else schema_of(records.values())
    labels = Labels(classes, inventory)
    usual = task or _only_task(records.values())
    others: set[str] = set()
    found = False
    for id, group in groupby(_lines(path, records), key=lambda line: line.id):
        lines = list(group)
        if task is not None:
            others |= {str(line.task) for line in lines}
            lines = _of_task(lines, task)
        if lines:
            found = True
            yield _record(records[id], lines, system, usual, labels, classes, ladder)
    if others and not found:
        raise KcxError(f"{path}: no line answers the task {task!r}, but {', '.join(sorted(others))}")


def _of_task(lines: list[_Line], task: str) -> list[_Line]:
    """Those that answer the task, or do not say which. Event answers hold triggers, where none are given apart."""
    own = [line for line in lines if line.task in (None, task)]
    return own or [line for line in lines if task == "ed" and line.task == "eae"]


def _lines(path: Path, gold: Mapping[str, Record]) -> Iterator[_Line]:
    order, by_text = list(gold), _by_text(gold.values())
    for number, (where, value) in enumerate(read_json_lines(path)):
        row = JsonObject(value, where)
        nth = order[number] if number < len(order) else None
        text = _asked_text(row.value)
        id = _id(row, text, nth, gold, by_text)
        task = row.value.get("task")
        if task is not None and str(task).casefold() not in _TASK_NAMES:
            raise row.error("task", f"unknown task {str(task)[:40]!r}; known: {', '.join(_TASK_NAMES)}")
        name: Any = None if task is None else _TASK_NAMES[str(task).casefold()]
        asked, trigger = _string(row.value, _ASKED_KEYS), _string(row.value, ("trigger",))
        yield _Line(where, id, text, _answer(row), name, asked, trigger)


def _by_text(gold: Iterable[Record]) -> dict[str, str | None]:
    """Text -> the id of its record, None where several have it."""
    found: dict[str, str | None] = {}
    for record in gold:
        found[record.text] = None if record.text in found else record.id
    return found


def _id(
    row: JsonObject,
    text: str | None,
    nth: str | None,
    gold: Mapping[str, Record],
    by_text: Mapping[str, str | None],
) -> str:
    """The id of the gold record that a line answers, asked about `text`; `nth`: of the one at the line's own place."""
    id = row.value.get("id")
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if id is not None and not isinstance(id, str):
        raise row.error("id", f"must be a string or a number, not {kind_of(id)}")
    if id is not None and id in gold and (text is None or _is_about(text, gold[id].text)):
        return id
    if text is not None and text in by_text:
        same = nth is not None and gold[nth].text == text
        known = nth if same else by_text[text]
        if known is None:
            raise row.error(
                "id", f"does not tell the record: several gold records have the text {text[:60]!r}"
            )
        return known
    if id is not None and id not in gold:
        raise row.error("id", f"no gold record has the id {id!r}")
    if id is None and nth is None:
        raise KcxError(f"{row.where}: a line without an id, and gold has only {len(gold)} records")
    if id is not None or (text is not None and not _is_about(text, gold[str(nth)].text)):
        raise KcxError(
            f"{row.where}: asked about {str(text)[:60]!r}, which is not the text of gold's record {id or nth!r}. "
            "Is it an answer to other data?"
        )
    return str(nth)


def _is_about(asked: str, text: str) -> bool:
    """Whether what was asked about is the text, a part of it or a prompt that holds it, but for white space."""
    asked, text = ("".join(unicodedata.normalize("NFC", each).split()) for each in (asked, text))
    return asked in text or text in asked


def _asked_text(row: Mapping[str, Any]) -> str | None:
    """The text that a line was asked about; IEPile has it in an instruction that is itself JSON."""
    instruction = row.get("instruction")
    if isinstance(instruction, str) and instruction.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            inner = json.loads(instruction)
            row = {**inner, **row} if isinstance(inner, dict) else row
    return _string(row, TEXT_KEYS)


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
    if system == "gliner" and task == "ner":
        claims = [parse_json(line.answer, task, gold.text, line.asked) for line in lines]
        if any(claim.place for each in claims for claim in each.items):
            return spans_at_offsets(claims, labels, gold)
    parsed = [
        parse_raw(line.answer, system, task, labels, schema, gold.text, line.asked, line.trigger)
        for line in lines
    ]
    _refuse_twins(lines, parsed)
    answer = ParsedAnswer(
        tuple(chain.from_iterable(each.instances for each in parsed)),
        tuple(chain.from_iterable(each.problems for each in parsed)),
    )
    return grounded_answer(answer, gold, task, ladder)


def _refuse_twins(lines: list[_Line], parsed: list[ParsedAnswer]) -> None:
    """Raise `KcxError` for a line that stands twice: its items would count twice."""
    seen: set[tuple[Any, ...]] = set()
    for line, answer in zip(lines, parsed, strict=True):
        key = line.text, line.asked, line.trigger, line.answer
        if key in seen and answer.instances:
            raise KcxError(
                f"{line.where}: the answer to {line.id!r} stands twice. Keep one of the two lines."
            )
        seen.add(key)


def grounded_answer(answer: ParsedAnswer, gold: Record, task: Task, ladder: bool = False) -> Record:
    """The record that a parsed answer about the text of `gold` stands for, with its id and language."""
    options: dict[str, Any] = {"id": gold.id, "language": gold.language, "ladder": ladder}
    pair = pair_places(gold)
    # What is wrong with an argument says nothing of its event's trigger.
    problems = [problem for problem in answer.problems if problem.kind != "wrong_argument"]
    own = problems if task == "ed" else answer.problems
    record = ground(answer.instances, gold.text, task=task, problems=own, pair=pair, **options).record
    if task != "eae":
        return record
    # The triggers of an event's answer are also scored as such, lost ones included.
    # Several events may share one, so each counts once here.
    named = {(type(each).__name__, getattr(each, "trigger", None)): each for each in answer.instances}
    triggers = ground(named.values(), gold.text, task="ed", problems=problems, **options).record
    keys = ("unresolved", "parse_problems", "loose")
    meta = {key: [*record.meta.get(key, []), *triggers.meta.get(key, [])] for key in keys}
    return replace(record, meta={key: value for key, value in meta.items() if value})
