"""Counts under way: of one measure, and of what one task's answers hold beside items with a place."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError
from kcx_jax.schema import Task
from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.figures import Figures, figures
from kcx_jax.scoring.modes import Mode, Units
from kcx_jax.scoring.rates import Rates
from kcx_jax.scoring.record_counts import RecordCounts
from kcx_jax.scoring.units import Measure, Unit, repeated_texts

# Problems of a parsed answer that stand for an item (schema.Problem.kind); the others only flag their record.
ITEM_PROBLEMS = frozenset({"unknown_class", "wrong_arity", "wrong_argument", "unquoted"})


# The part of a record that a task is about.
LAYER_OF_TASK: dict[Task, str] = {"ner": "entities", "re": "relations", "ed": "events", "eae": "events"}


def is_annotated(record: Record, task: Task) -> bool:
    """Whether the record says what there is for `task`, if only that there is nothing."""
    return getattr(record, LAYER_OF_TASK[task]) is not None


def entries(record: Record, key: str, task: Task) -> list[dict[str, Any]]:
    """The entries of a list in `meta` that concern `task`; `KcxError` where it is no list of objects."""
    if key not in record.meta:
        return []
    found = record.meta[key]
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise KcxError(f"record {record.id!r}: meta.{key} must be a list of objects")
    return [entry for entry in found if entry.get("task", task) == task]


# Type -> true positives, false positives, false negatives.
ByType = dict[str, list[int]]


def _nothing() -> list[int]:
    return [0, 0, 0]


def _add(by_type: ByType, matched: tuple[Units, Units, Units]) -> None:
    for side, units in enumerate(matched):
        for (label, _), count in units.items():
            by_type[label][side] += count


class Tally:
    """The counts of one measure in one mode, by language and type."""

    def __init__(self, mode: Mode, measure: Measure, by_record: bool) -> None:
        self.measure = measure
        self.by_record = RecordCounts() if by_record else None
        self._mode = mode
        self._sums: dict[str, ByType] = defaultdict(lambda: defaultdict(_nothing))

    def add(self, number: int, record: Record, guess: Record | None) -> None:
        """Count one record."""
        matched = self._matched(record, guess)
        _add(self._sums[record.language], matched)
        if self.by_record is not None:
            by_type: ByType = defaultdict(_nothing)
            _add(by_type, matched)
            self.by_record.add(number, record.language, by_type)

    def figures(self) -> Figures[Counts]:
        """The figures of what was counted."""
        groups = {
            (language, label): Counts(*counts)
            for language, by_type in self._sums.items()
            for label, counts in by_type.items()
        }
        return figures(groups, self._mode.averaging)

    def _matched(self, record: Record, guess: Record | None) -> tuple[Units, Units, Units]:
        """The true positives, false positives and false negatives of one record."""
        given = self.measure.count(guess)
        if guess is not None and guess.meta:
            given.update(self._without_place(guess))
        return self._mode.matching(self.measure.count(record), given)

    def _without_place(self, guess: Record) -> Iterator[Unit]:
        """The units of items without offsets: those that a text has less often count where places do not matter."""
        measure, others = self.measure, []
        for entry in entries(guess, "unresolved", measure.task):
            if (unit := measure.repeated(entry)) is not None:
                yield unit
            else:
                others.append(measure.label(str(entry.get("type", "")), entry.get("role")))
        if self._mode.keep_ungrounded:
            problems = entries(guess, "parse_problems", measure.task)
            others += ["" for problem in problems if problem.get("kind") in ITEM_PROBLEMS]
            # Its own number as content: equal to no gold unit and to no other prediction.
            yield from ((label, (number,)) for number, label in enumerate(others))


class TaskTally:
    """What is counted of a task: its records, the rates of its answers, and the mode's measures of it."""

    def __init__(self, task: Task, mode: Mode, by_record: bool) -> None:
        self.layer = LAYER_OF_TASK[task]
        self.measures = [Tally(mode, measure, by_record) for measure in mode.measures if measure.task == task]
        self.records = 0
        self.missing: list[str] = []
        self.flagged = 0
        self._task = task
        self._answers = 0
        self._placed = 0
        self._counts: Counter[str] = Counter()

    def add(self, number: int, record: Record, guess: Record | None) -> None:
        """Count the record `number` of gold, which is annotated for the task."""
        for tally in self.measures:
            tally.add(number, record, guess)
        self.records += 1
        if guess is None or not is_annotated(guess, self._task):
            self.missing.append(record.id)
        if guess is None:
            return
        self._answers += 1
        self._placed += _size(guess, self._task)
        if not guess.meta:
            return
        kinds = [entry.get("kind") for entry in entries(guess, "parse_problems", self._task)]
        self.flagged += any(kind not in ITEM_PROBLEMS for kind in kinds)
        self._counts["unknown_class"] += kinds.count("unknown_class")
        self._counts["malformed"] += sum(
            kinds.count(kind) for kind in ("wrong_arity", "wrong_argument", "unquoted")
        )
        unresolved = entries(guess, "unresolved", self._task)
        repeated = sum(bool(repeated_texts(entry)) for entry in unresolved)
        self._placed += repeated
        self._counts["hallucinated"] += len(unresolved) - repeated
        self._counts["loose"] += len(entries(guess, "loose", self._task))

    def rates(self) -> Rates:
        """The rates of what was counted."""
        counts = self._counts
        without = counts["unknown_class"] + counts["malformed"] + counts["hallucinated"]
        return Rates(self._answers, self.flagged, self._placed + without, **counts)


def _size(record: Record, task: Task) -> int:
    """How many items of a task have a place in the record."""
    if task == "eae":
        return sum(len(event.arguments) for event in record.events or ())
    return len(getattr(record, LAYER_OF_TASK[task]) or ())
