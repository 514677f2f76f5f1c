"""One dataset of ``kcx score``: its figures as the options ask for them."""

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kcx_jax.cli.ground import Ground

if TYPE_CHECKING:
    from kcx_jax.corpora import Record
    from kcx_jax.schema import Schema, Task
    from kcx_jax.scoring import Scorer, Scores

_IDS_SHOWN = 5


@dataclass(frozen=True)
class Options:
    """How every dataset of one call is read and counted."""

    mode: str
    predicted_format: str
    schema: "Schema | None"
    inventory: str | None
    task: "Task | None"
    ground: Ground
    ancestors: "Mapping[str, Collection[str]] | None"
    samples: int

    @property
    def tasks(self) -> "tuple[Task, ...] | None":
        """The tasks to score; the answers of arguments show triggers, too."""
        if self.task is None:
            return None
        return ("eae", "ed") if self.task == "eae" else (self.task,)


@dataclass(frozen=True)
class Found:
    """The scores of a dataset, those in mode text beside them, without exemplars, and intervals by measure."""

    scores: "Scores"
    text: "Scores | None"
    unseen: "Unseen | None"
    resampling: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        value = self.scores.to_json()
        if self.text is not None:
            value["text"] = self.text.to_json()
        if self.unseen is not None:
            value["without_exemplars"] = self.unseen.to_json()
        if self.resampling:
            value["resampling"] = self.resampling
        return value


def score_dataset(
    gold: Path, predicted: Path, against: Path | None, errors: IO[bytes] | None, options: Options
) -> Found:
    """Score one file of predictions; a line of item kinds a record and task goes to `errors`.

    Raises as the readers and `score`.
    """
    from kcx_jax.corpora import read_records
    from kcx_jax.scoring import Scorer, joined

    schema = options.schema
    scorer = Scorer(options.mode, options.tasks, bool(options.samples), options.ancestors)
    text = Scorer("text", options.tasks) if options.mode == "strict" else None
    unseen = None
    if schema is not None and any(each.exemplars for each in schema.concepts):
        unseen = Unseen(schema, Scorer(options.mode, options.tasks, False, options.ancestors))
    given = _predictions(gold, predicted, options)
    for number, record, guess in joined(read_records(gold, "jsonl"), given):
        for each in (scorer, text, unseen):
            if each is not None:
                each.add(number, record, guess)
        if errors is not None:
            _write_errors(record, guess, options.tasks, errors)
    scores = scorer.scores()
    drawn = _resampled(scores, gold, against, options) if options.samples else {}
    return Found(scores, text.scores() if text is not None else None, unseen, drawn)


class Unseen:
    """Scores without what the schema shows as exemplars: these are left out of both sides."""

    def __init__(self, schema: "Schema", scorer: "Scorer") -> None:
        from kcx_jax.prompts import Overlap

        self._schema, self._scorer, self._overlap = schema, scorer, Overlap(0, 0)

    def add(self, number: int, record: "Record", guess: "Record | None") -> None:
        from kcx_jax.prompts import exemplar_overlap, without_exemplars

        self._overlap += exemplar_overlap(self._schema, [record])
        rest = None if guess is None else without_exemplars(self._schema, guess)
        self._scorer.add(number, without_exemplars(self._schema, record), rest)

    def to_json(self) -> dict[str, Any]:
        overlap = self._overlap
        counts = {"mentions": overlap.mentions, "exemplars": overlap.exemplars, "share": overlap.share}
        return counts | self._scorer.scores().to_json()

    def in_words(self) -> str:
        overlap = self._overlap
        return (
            f"{100 * overlap.share:.2f} % of gold's mentions and triggers ({overlap.exemplars} of {overlap.mentions}) "
            f"are exemplars of their class in the schema; without them: {_headlines(self._scorer.scores())}"
        )


def _predictions(gold: Path, predicted: Path, options: Options) -> "Iterator[Record]":
    from kcx_jax.errors import UsageError
    from kcx_jax.scoring.raw import holds_answers, read_answers

    name, ladder = options.predicted_format, options.ground is Ground.LADDER
    if name == "auto" and not holds_answers(predicted):
        name = "records"
    if name != "records":
        return read_answers(predicted, gold, name, options.schema, options.inventory, options.task, ladder)
    if options.inventory is not None:
        raise UsageError("--inventory is for raw answers: name their --predicted-format, such as auto")
    return _records(predicted, options.ground)


def _records(predicted: Path, ground: Ground) -> "Iterator[Record]":
    """The records of a file; what they hold of looser forms counts only where the ladder is asked for."""
    from kcx_jax.corpora import read_records
    from kcx_jax.scoring import without_loose

    records = read_records(predicted, "jsonl")
    return records if ground is Ground.LADDER else map(without_loose, records)


def _write_errors(
    record: "Record", guess: "Record | None", tasks: "tuple[Task, ...] | None", out: IO[bytes]
) -> None:
    """A line for each task that is asked for (None: all), the record is annotated for, and has items of."""
    from kcx_jax.corpora.jsonl import json_line
    from kcx_jax.schema import TASKS
    from kcx_jax.scoring import error_counts, item_errors

    for task in tasks or TASKS:
        found = item_errors(record, guess, task)
        if found:
            counts = {kind: count for kind, count in error_counts(found).items() if count}
            wrong = [error.to_json() for error in found if error.kind != "right"]
            out.write(json_line({"id": record.id, "task": task, "counts": counts, "errors": wrong}))


def _resampled(
    scores: "Scores", gold: Path, against: Path | None, options: Options
) -> dict[str, dict[str, Any]]:
    """The intervals of every measure and, where there is another system, its F1 and the p-value."""
    from kcx_jax.corpora import read_records
    from kcx_jax.scoring import MODES, paired_p_value, score

    rival, samples = None, options.samples
    if against is not None:
        sides = read_records(gold, "jsonl"), _records(against, options.ground)
        rival = score(*sides, tuple(scores.records), scores.mode, by_record=True, ancestors=options.ancestors)
    found: dict[str, dict[str, Any]] = {}
    for unit, ours in scores.units.items():
        found[unit] = scores.resampling_json(unit, samples)
        if rival is not None:
            theirs = rival.units[unit].by_record
            assert ours.by_record is not None
            assert theirs is not None
            averaging = MODES[scores.mode].averaging
            p = paired_p_value(ours.by_record, theirs, samples, averaging=averaging)
            found[unit] |= {"f1_against": rival.f1(unit), "p_value": p}
    return found


def _headlines(scores: "Scores") -> str:
    return ", ".join(f"{task} F1 {100 * scores.f1(task):.2f} %" for task in scores.records)


def refuse_nothing(found: "Mapping[str, Found]") -> None:
    """Raise `KcxError` where no dataset has gold to score against."""
    from kcx_jax.errors import KcxError

    if not any(each.scores.units for each in found.values()):
        raise KcxError(f"{', '.join(found)}: no gold record is annotated, so there is nothing to score")


def warn(scores: "Scores", name: str) -> None:
    """Say on stderr what was left out, counted as empty or not readable; `name` opens each line."""
    if not scores.units:
        print(f"{name}no gold record is annotated; left out of the means", file=sys.stderr)
    for task, ids in scores.missing.items():
        if ids:
            shown = ", ".join(map(ascii, ids[:_IDS_SHOWN])) + (", ..." if len(ids) > _IDS_SHOWN else "")
            count = f"{len(ids)} of {scores.records[task]} records"
            print(f"{name}{task}: {count} have no prediction and count as empty: {shown}", file=sys.stderr)
        if scores.flagged[task]:
            print(
                f"{name}{task}: {scores.flagged[task]} answers could not be read to their end",
                file=sys.stderr,
            )
