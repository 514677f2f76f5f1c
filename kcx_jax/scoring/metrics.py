"""Precision, recall and F1 of predicted records against gold ones, with the counts they come from."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import TASKS, Task
from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.modes import Mode, Units, micro, mode_named
from kcx_jax.scoring.units import Measure

# Problems of a parsed answer that stand for an item (schema.Problem.kind); the others only flag their record.
_ITEM_PROBLEMS = frozenset({"unknown_class", "wrong_arity", "wrong_argument"})


@dataclass(frozen=True)
class UnitScore:
    """The counts of one measure: over the dataset, and by type (in the order of the alphabet)."""

    definition: str
    total: Counts
    per_type: dict[str, Counts]


@dataclass(frozen=True)
class Scores:
    """What `score` found. `units` is keyed by measure: ner, re, re_strict, ed_identification, ed, ...

    records: how many gold records are annotated, by task. missing: ids of those without a prediction,
    counted as empty. flagged: how many predicted records hold an answer that could not be read to its end.
    """

    mode: str
    units: dict[str, UnitScore]
    records: dict[Task, int]
    missing: dict[Task, tuple[str, ...]]
    flagged: dict[Task, int]

    @property
    def definition(self) -> str:
        """What the mode counts, in words."""
        return mode_named(self.mode).definition

    def f1(self, unit: str) -> float:
        """The F1 in [0, 1] of a measure; a task's name is its headline. `UsageError` if it was not scored."""
        if unit not in self.units:
            raise UsageError(f"no score for {unit!r}; there are: {', '.join(self.units)}")
        return self.units[unit].total.f1

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values, definitions included; figures in [0, 1]."""
        return {
            "mode": self.mode,
            "definition": self.definition,
            "units": {
                name: {
                    "definition": score.definition,
                    **score.total.to_json(),
                    "per_type": {label: counts.to_json() for label, counts in score.per_type.items()},
                }
                for name, score in self.units.items()
            },
            "records": self.records,
            "missing": {task: list(ids) for task, ids in self.missing.items()},
            "flagged": self.flagged,
        }

    def table(self) -> list[tuple[str, str, Counts, str]]:
        """Rows (unit, type, counts, definition); the type is "" in the row of the whole dataset."""
        return [
            row
            for name, score in self.units.items()
            for row in (
                (name, "", score.total, score.definition),
                *((name, label, counts, "") for label, counts in score.per_type.items()),
            )
        ]


def score(
    gold: Iterable[Record],
    predicted: Iterable[Record],
    tasks: Sequence[Task] | None = None,
    mode: str = "strict",
) -> Scores:
    """Compare predicted with gold records of the same ids.

    The modes and their definitions are `MODES`; each measure's own stands beside its figures. A gold record
    counts for the tasks it is annotated for; discontinuous spans count by their hulls. What of an answer
    could not be grounded or read is in the predicted record's ``meta``: one false positive for each entry of
    "unresolved" ({"task", "type", "text", "role"}) and of "parse_problems" ({"task", "kind"}) that stands
    for an item; an entry without a task counts for each.

    Args:
        tasks: which tasks; None: those that gold is annotated for ("eae" where an event has an argument).

    Raises `KcxError` for an id used twice, a prediction without gold, or a prediction for another text;
    `UsageError` for an unknown task or mode.
    """
    counting = mode_named(mode)
    counted = dict.fromkeys(measure.task for measure in counting.measures)
    for task in tasks or ():
        if task not in TASKS:
            raise UsageError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
        if task not in counted:
            raise UsageError(
                f"mode {mode!r} does not count the task {task!r}; it counts: {', '.join(counted)}"
            )
    pairs = _join(_by_id(gold, "gold"), _by_id(predicted, "predicted"))
    if tasks is None:
        there_are = _annotated_tasks([record for record, _ in pairs])
        tasks = [task for task in there_are if task in counted]
        if there_are and not tasks:
            raise KcxError(f"mode {mode!r} counts {', '.join(counted)}; gold has {', '.join(there_are)}")
    annotated = {task: [pair for pair in pairs if _annotated(pair[0], task)] for task in tasks}
    for task, there in annotated.items():
        if not there:
            raise KcxError(f"no gold record is annotated for the task {task!r}")
    return Scores(
        mode,
        {m.name: _measured(counting, m, annotated[m.task]) for m in counting.measures if m.task in annotated},
        {task: len(there) for task, there in annotated.items()},
        {
            task: tuple(gold.id for gold, guess in there if guess is None or not _annotated(guess, task))
            for task, there in annotated.items()
        },
        {task: sum(_is_flagged(guess, task) for _, guess in there) for task, there in annotated.items()},
    )


def counts_by_record(
    gold: Iterable[Record], predicted: Iterable[Record], unit: str, mode: str = "strict"
) -> list[Counts]:
    """The counts of one measure in each gold record that is annotated for it, in the order of gold.

    Their sum is the total that `score` gives. Raises as `score`; `UsageError` also for an unknown measure and
    for a mode whose figure is not made of such sums alone (macro, rounded).
    """
    counting = mode_named(mode)
    measure = next((m for m in counting.measures if m.name == unit), None)
    if measure is None:
        names = ", ".join(m.name for m in counting.measures)
        raise UsageError(f"mode {mode!r} has no measure {unit!r}; it has: {names}")
    if counting.averaging is not micro:
        raise UsageError(f"mode {mode!r} is not micro-averaged: its records have no counts that add up to it")
    pairs = _join(_by_id(gold, "gold"), _by_id(predicted, "predicted"))
    found = (_matched(counting, measure, pair) for pair in pairs if _annotated(pair[0], measure.task))
    return [Counts(tp.total(), fp.total(), fn.total()) for tp, fp, fn in found]


Pair = tuple[Record, Record | None]


def _by_id(records: Iterable[Record], side: str) -> dict[str, Record]:
    known: dict[str, Record] = {}
    for record in records:
        if record.id in known:
            raise KcxError(
                f"{side}: the id {record.id!r} is used by two records; scores are joined by unique id"
            )
        known[record.id] = record
    return known


def _join(gold: dict[str, Record], predicted: dict[str, Record]) -> list[Pair]:
    extra = [id for id in predicted if id not in gold]
    if extra:
        shown = ", ".join(map(repr, extra[:3]))
        raise KcxError(f"{len(extra)} predicted records have no gold record of their id, such as {shown}")
    for id, guess in predicted.items():
        if guess.text != gold[id].text:
            texts = f"{guess.text[:40]!r} against gold {gold[id].text[:40]!r}"
            raise KcxError(f"record {id!r}: the predicted text is not the gold text: {texts}")
    return [(record, predicted.get(id)) for id, record in gold.items()]


def _annotated(record: Record, task: Task) -> bool:
    layer = {"ner": record.entities, "re": record.relations, "ed": record.events, "eae": record.events}[task]
    return layer is not None


def _annotated_tasks(gold: Sequence[Record]) -> tuple[Task, ...]:
    tasks = [task for task in TASKS if any(_annotated(record, task) for record in gold)]
    with_arguments = any(event.arguments for record in gold for event in record.events or ())
    return tuple(task for task in tasks if task != "eae" or with_arguments)


def _measured(mode: Mode, measure: Measure, pairs: Sequence[Pair]) -> UnitScore:
    tp: Counter[str] = Counter()
    fp: Counter[str] = Counter()
    fn: Counter[str] = Counter()
    for pair in pairs:
        for side, units in zip((tp, fp, fn), _matched(mode, measure, pair), strict=True):
            for (label, _), count in units.items():
                side[label] += count
    labels = sorted({*tp, *fp, *fn} - {""})
    per_type = {label: Counts(tp[label], fp[label], fn[label]) for label in labels}
    total = Counts(tp.total(), fp.total(), fn.total())
    return UnitScore(measure.definition, mode.averaging(total, per_type), per_type)


def _matched(mode: Mode, measure: Measure, pair: Pair) -> tuple[Units, Units, Units]:
    """The true positives, false positives and false negatives of one record."""
    record, guess = pair
    given = measure.count(guess)
    if guess is not None and mode.keep_ungrounded:
        # Its own number as content: equal to no gold unit and to no other prediction.
        given.update((label, (number,)) for number, label in enumerate(_ungrounded(measure, guess)))
    return mode.matching(measure.count(record), given)


def _entries(record: Record, key: str, task: Task) -> list[dict[str, Any]]:
    """The entries of a list in `meta` that concern `task`."""
    entries = record.meta.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KcxError(f"record {record.id!r}: meta.{key} must be a list of objects")
    return [entry for entry in entries if entry.get("task", task) == task]


def _ungrounded(measure: Measure, record: Record) -> list[str]:
    """The labels under which false positives that have no offsets are counted."""
    unresolved = _entries(record, "unresolved", measure.task)
    unread = [p for p in _entries(record, "parse_problems", measure.task) if p.get("kind") in _ITEM_PROBLEMS]
    return [measure.label(str(u.get("type", "")), u.get("role")) for u in unresolved] + [""] * len(unread)


def _is_flagged(record: Record | None, task: Task) -> bool:
    if record is None:
        return False
    return any(p.get("kind") not in _ITEM_PROBLEMS for p in _entries(record, "parse_problems", task))
