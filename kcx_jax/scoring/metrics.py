"""Precision, recall and F1 of predicted records against gold ones, with the counts they come from."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import TASKS, Task
from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.figures import Figures
from kcx_jax.scoring.joining import joined
from kcx_jax.scoring.modes import mode_named, with_ancestors
from kcx_jax.scoring.rates import Rates
from kcx_jax.scoring.record_counts import RecordCounts
from kcx_jax.scoring.resampling import Interval, f1_intervals
from kcx_jax.scoring.tally import Tally, TaskTally


@dataclass(frozen=True)
class UnitScore:
    """The counts of one measure: over the dataset, by type and by language (in the order of the alphabet).

    macro: the unweighted mean over types. by_record: the counts of every record, where they were asked for.
    """

    definition: str
    total: Counts
    per_type: dict[str, Counts]
    per_language: dict[str, Counts]
    macro: Counts
    by_record: RecordCounts | None = None

    def to_json(self) -> dict[str, Any]:
        """The definition, the figures and the counts."""
        return {
            "definition": self.definition,
            **self.total.to_json(),
            "per_type": {label: counts.to_json() for label, counts in self.per_type.items()},
            "per_language": {name: counts.to_json() for name, counts in self.per_language.items()},
            "macro": {key: self.macro.to_json()[key] for key in ("precision", "recall", "f1")},
        }


@dataclass(frozen=True)
class Scores:
    """What `score` found. `units` is keyed by measure: ner, re, re_strict, ed_identification, ed, ...

    records: how many gold records are annotated, by task. missing: ids of those without a prediction,
    counted as empty. flagged: how many predicted records hold an answer that could not be read to its end.
    rates: how much of the answers could not be read, is of no known class, or is not in the text.
    """

    mode: str
    units: dict[str, UnitScore]
    records: dict[Task, int]
    missing: dict[Task, tuple[str, ...]]
    flagged: dict[Task, int]
    rates: dict[Task, Rates]

    @property
    def definition(self) -> str:
        """What the mode counts, in words."""
        return mode_named(self.mode).definition

    def f1(self, unit: str) -> float:
        """The F1 in [0, 1] of a measure; a task's name is its headline. `UsageError` if it was not scored."""
        return self._unit(unit).total.f1

    def intervals(self, unit: str, samples: int = 1000, level: float = 0.95) -> Figures[Interval]:
        """The bootstrap intervals of a measure's F1s, as the mode makes them (`f1_intervals`).

        Raises `UsageError` for a measure that was not scored, or without `by_record`.
        """
        by_record = self._unit(unit).by_record
        if by_record is None:
            raise UsageError("the scores hold no counts of single records; call score(..., by_record=True)")
        return f1_intervals(by_record, mode_named(self.mode).averaging, samples, level)

    def resampling_json(self, unit: str, samples: int) -> dict[str, Any]:
        """The 95 % intervals of a measure as plain JSON values. Raises as `intervals`."""
        drawn = self.intervals(unit, samples)
        return {
            "samples": samples,
            "f1_interval_95": drawn.total,
            "macro_f1_interval_95": drawn.macro,
            "f1_interval_95_per_type": drawn.per_type,
            "f1_interval_95_per_language": drawn.per_language,
        }

    def _unit(self, unit: str) -> UnitScore:
        if unit not in self.units:
            raise UsageError(f"no score for {unit!r}; there are: {', '.join(self.units)}")
        return self.units[unit]

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values, definitions included; figures in [0, 1]."""
        return {
            "mode": self.mode,
            "definition": self.definition,
            "units": {name: score.to_json() for name, score in self.units.items()},
            "records": self.records,
            "missing": {task: list(ids) for task, ids in self.missing.items()},
            "flagged": self.flagged,
            "rates": {task: rates.to_json() for task, rates in self.rates.items()},
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
    by_record: bool = False,
    ancestors: Mapping[str, Collection[str]] | None = None,
) -> Scores:
    """Compare predicted with gold records of the same ids.

    The modes and their definitions are `MODES`; each measure's own stands beside its figures. A gold record
    counts for the tasks it is annotated for; discontinuous spans count by their hulls. What of an answer
    could not be grounded or read is in the predicted record's ``meta``: one false positive for each entry of
    "unresolved" ({"task", "type", "text", "role", "repeated"}) and of "parse_problems" ({"task", "kind"}) that stands
    for an item; an entry without a task counts for each. Both sides are read once, in step, and not kept.

    Args:
        tasks: which tasks; None: those that gold is annotated for ("eae" where an event has an argument).
        by_record: keep every record's counts, for intervals and paired tests.
        ancestors: of each class, the classes that mode knowcoder accepts for it (`ancestors_of`).

    Raises `KcxError` for an id used twice, a prediction without gold, or a prediction for another text;
    `UsageError` for an unknown task or mode.
    """
    scorer = Scorer(mode, tasks, by_record, ancestors)
    for number, record, guess in joined(gold, predicted):
        scorer.add(number, record, guess)
    return scorer.scores()


def counts_by_record(
    gold: Iterable[Record], predicted: Iterable[Record], unit: str, mode: str = "strict"
) -> RecordCounts:
    """The counts of one measure in each gold record that is annotated for it, in the order of gold.

    Raises as `score`; `UsageError` also for an unknown measure.
    """
    measure = next((m for m in mode_named(mode).measures if m.name == unit), None)
    if measure is None:
        names = ", ".join(m.name for m in mode_named(mode).measures)
        raise UsageError(f"mode {mode!r} has no measure {unit!r}; it has: {names}")
    found = score(gold, predicted, [measure.task], mode, by_record=True).units[unit].by_record
    assert found is not None
    return found


class Scorer:
    """Scores under way, as `score` gives them: pairs of records (`joined`) in, `Scores` out."""

    def __init__(
        self,
        mode: str,
        tasks: Sequence[Task] | None = None,
        by_record: bool = False,
        ancestors: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._mode = mode_named(mode)
        if ancestors is not None:
            self._mode = with_ancestors(self._mode, ancestors)
        self._asked = tasks
        self._mode.check_tasks(tasks or ())
        self._tallies = {task: TaskTally(task, self._mode, by_record) for task in tasks or TASKS}
        self._arguments = False

    def add(self, number: int, record: Record, guess: Record | None) -> None:
        """Count the gold record `number` and what was predicted for it."""
        for tally in self._tallies.values():
            if getattr(record, tally.layer) is not None:
                tally.add(number, record, guess)
        if record.events and not self._arguments:
            self._arguments = any(event.arguments for event in record.events)

    def scores(self) -> Scores:
        """What was found; `KcxError` where gold is not annotated for what is counted."""
        found = self._scored()
        return Scores(
            self._mode.name,
            {t.measure.name: _unit_score(t) for name in found for t in self._tallies[name].measures},
            {task: self._tallies[task].records for task in found},
            {task: tuple(self._tallies[task].missing) for task in found},
            {task: self._tallies[task].flagged for task in found},
            {task: self._tallies[task].rates() for task in found},
        )

    def _scored(self) -> list[Task]:
        there = [task for task in TASKS if task in self._tallies and self._tallies[task].records]
        if self._asked is not None:
            for task in self._asked:
                if task not in there:
                    raise KcxError(f"no gold record is annotated for the task {task!r}")
            return there
        there = [task for task in there if task != "eae" or self._arguments]
        tasks = [task for task in there if self._tallies[task].measures]
        if there and not tasks:
            counted = ", ".join(self._mode.counted)
            raise KcxError(f"mode {self._mode.name!r} counts {counted}; gold has {', '.join(there)}")
        return tasks


def _unit_score(tally: Tally) -> UnitScore:
    found, measure = tally.figures(), tally.measure
    return UnitScore(
        measure.definition, found.total, found.per_type, found.per_language, found.macro, tally.by_record
    )
