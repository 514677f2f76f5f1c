"""Files of raw answers -> predicted records."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record, read_records
from kcx_jax.corpora.pairs import pair_places
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import TASKS, ParsedAnswer, Schema, Task
from kcx_jax.scoring.gold_schema import schema_of
from kcx_jax.scoring.grounding import ground
from kcx_jax.scoring.raw.claims import Labels
from kcx_jax.scoring.raw.json_answers import parse_json
from kcx_jax.scoring.raw.lines import AnswerLine, read_answer_lines
from kcx_jax.scoring.raw.span_answers import spans_at_offsets
from kcx_jax.scoring.raw.systems import ONE_TYPE_A_LINE, SYSTEMS, parse_raw
from kcx_jax.scoring.tally import is_annotated


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

    A line is an object with the answer under one of `lines.ANSWER_KEYS` and, beside it, "id", "task", the one "type"
    that was asked for, and the "trigger". An id that no gold record has is the system's own: then the text that it
    was asked about tells the record (under one of `lines.TEXT_KEYS`, or in IEPile's instruction). Without an id and
    such a text the n-th line answers the n-th gold record, of as many. A text must be that of its record, a part of
    it, or a prompt that holds it, but for white space. Lines of one record that follow one another are one answer, of
    systems that are asked about some types at a time wherever they stand; lines of another task than `task` are left
    out. The lines may also be the elements of an array.
    GLiNER's spans stand at the offsets that it gives.

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
    for id, lines in _by_record(read_answer_lines(path, records, system), system):
        if task is not None:
            others |= {str(line.task) for line in lines}
            lines = _of_task(lines, task)
        if lines:
            found = True
            yield _record(records[id], lines, system, usual, labels, classes, ladder)
    if others and not found:
        raise KcxError(f"{path}: no line answers the task {task!r}, but {', '.join(sorted(others))}")


def _by_record(lines: Iterable[AnswerLine], system: str) -> Iterator[tuple[str, list[AnswerLine]]]:
    """The lines of each record."""
    if system not in ONE_TYPE_A_LINE:
        for id, group in groupby(lines, key=lambda line: line.id):
            yield id, list(group)
        return
    found: dict[str, list[AnswerLine]] = {}
    for line in lines:
        found.setdefault(line.id, []).append(line)
    yield from found.items()


def _of_task(lines: list[AnswerLine], task: str) -> list[AnswerLine]:
    """Those that answer the task, or do not say which. Event answers hold triggers, where none are given apart."""
    own = [line for line in lines if line.task in (None, task)]
    return own or [line for line in lines if task == "ed" and line.task == "eae"]


def _only_task(gold: Iterable[Record]) -> Task | None:
    there = {task for record in gold for task in TASKS if is_annotated(record, task)}
    if there == {"ed", "eae"}:
        return "eae"
    return next(iter(there)) if len(there) == 1 else None


def _record(
    gold: Record,
    lines: list[AnswerLine],
    system: str,
    usual: Any,
    labels: Labels,
    schema: Schema,
    ladder: bool,
) -> Record:
    tasks: set[Any] = {line.task or usual for line in lines}
    if len(tasks) > 1 or not tasks <= set(TASKS):
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


def _refuse_twins(lines: list[AnswerLine], parsed: list[ParsedAnswer]) -> None:
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
