"""``kcx score``: predicted records against gold ones."""

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer

from kcx_jax.cli.labels import AutoOption, print_names

if TYPE_CHECKING:
    from kcx_jax.corpora import Record
    from kcx_jax.schema import Schema, Task
    from kcx_jax.scoring import Scorer, Scores

_IDS_SHOWN = 5


class Ground(StrEnum):
    """How loosely the surfaces of raw answers are found in the text."""

    STRICT = "strict"
    LADDER = "ladder"


class Format(StrEnum):
    """How scores are printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"


def command(
    gold: Annotated[Path, typer.Option(metavar="GOLD.jsonl", help="The gold records.")],
    predicted: Annotated[Path, typer.Option(metavar="PRED", help="The predictions.")],
    predicted_format: Annotated[
        str,
        typer.Option(help="What PRED holds: records, a system's raw answers (by its name), or auto."),
    ] = "auto",
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="SCHEMA", help="Classes of raw answers (default: gold's); parents for knowcoder."
        ),
    ] = None,
    auto: AutoOption = False,
    inventory: Annotated[
        str | None, typer.Option(help="What maps the labels of raw answers to classes. Default: by name.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="The task of raw answers. Default: gold's only one.")
    ] = None,
    ground: Annotated[
        Ground,
        typer.Option(help="Find raw answers verbatim or after NFC, or down the ladder of looser forms."),
    ] = Ground.STRICT,
    mode: Annotated[str, typer.Option(help="How to count; an unknown name lists them all.")] = "strict",
    ancestors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Mode knowcoder: class to the classes accepted for it (YAML, JSON)."
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="PRED.jsonl", help="Another system's records, to test against.")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Draws for 95 % intervals and the paired test; 0: neither.")
    ] = 0,
    format: Annotated[Format, typer.Option(help="How to print the scores.")] = Format.TABLE,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures and counts here.")
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(metavar="OUT.jsonl", help="Write every item's kind of error here.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE and OUT.")] = False,
) -> None:
    """Score predictions, joined to gold by id: precision, recall and F1 for each task gold is annotated for.

    Example: kcx score --gold test.jsonl --predicted answers.jsonl --json scores.json
    """
    from kcx_jax.cli.score_table import print_scores
    from kcx_jax.corpora import read_records
    from kcx_jax.errors import UsageError
    from kcx_jax.files import refuse_existing
    from kcx_jax.schema import load_schema
    from kcx_jax.scoring import Scorer, ancestors_of, latex, markdown

    for file in (json_file, errors):
        if file is not None:
            refuse_existing(file, overwrite)
    if against is not None and not samples:
        raise UsageError("--against needs --samples, such as --samples 1000")
    classes = load_schema(schema, auto=auto) if schema is not None else None
    if auto and classes is not None:
        print_names(classes)
    accepted = None
    if ancestors is not None or (classes is not None and mode == "knowcoder"):
        accepted = ancestors_of(classes, ancestors)
    given = _predictions(gold, predicted, predicted_format, classes, inventory, task, ground)
    tasks = None if task is None else cast("tuple[Task, ...]", (task, "ed") if task == "eae" else (task,))
    scorers = [Scorer(mode, tasks, bool(samples), accepted)]
    if mode == "strict":
        scorers.append(Scorer("text", tasks))
    unseen = None
    if classes is not None and any(each.exemplars for each in classes.concepts):
        unseen = _Unseen(classes, Scorer(mode, tasks, False, accepted))
    _score(read_records(gold, "jsonl"), given, [*scorers, *([unseen] if unseen else [])], errors, overwrite)
    scores, *beside = [scorer.scores() for scorer in scorers]
    value = scores.to_json() | {other.mode: other.to_json() for other in beside}
    if unseen is not None:
        value["without_exemplars"] = unseen.to_json()
    if samples:
        value["resampling"] = _resampled(scores, gold, against, samples, accepted)
    if json_file is not None:
        _write_json(value, json_file, overwrite)
    _warn(scores)
    if format is not Format.TABLE:
        print((markdown if format is Format.MARKDOWN else latex)(scores), end="")
        return
    print_scores(scores)
    for other in beside:
        print(f"{other.mode} mode, beside it: {_headlines(other)}")
    if unseen is not None:
        print(unseen.in_words())
    for unit, found in value.get("resampling", {}).items():
        print(f"{unit}: " + _in_words(found))


class _Unseen:
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


def _predictions(
    gold: Path,
    predicted: Path,
    name: str,
    schema: "Schema | None",
    inventory: str | None,
    task: str | None,
    ground: Ground,
) -> "Iterator[Record]":
    from kcx_jax.corpora import read_records
    from kcx_jax.errors import UsageError
    from kcx_jax.scoring.raw import holds_answers, read_answers

    if name == "auto" and not holds_answers(predicted):
        name = "records"
    if name != "records":
        return read_answers(predicted, gold, name, schema, inventory, task, ground is Ground.LADDER)
    if ground is Ground.LADDER:
        raise UsageError("--ground ladder is for raw answers: records have their places already")
    if inventory is not None:
        raise UsageError("--inventory is for raw answers: name their --predicted-format, such as auto")
    return read_records(predicted, "jsonl")


def _score(
    gold: "Iterable[Record]",
    predicted: "Iterable[Record]",
    scorers: "Sequence[Scorer | _Unseen]",
    errors: Path | None,
    overwrite: bool,
) -> None:
    """Fill the scorers, in one reading; the errors are written on the way."""
    from kcx_jax.files import atomic_write
    from kcx_jax.scoring import joined

    with ExitStack() as stack:
        out = stack.enter_context(atomic_write(errors, "wb", overwrite)) if errors is not None else None
        for number, record, guess in joined(gold, predicted):
            for scorer in scorers:
                scorer.add(number, record, guess)
            if out is not None:
                _write_errors(record, guess, out)


def _write_errors(record: "Record", guess: "Record | None", out: IO[bytes]) -> None:
    """A line for each task that the record is annotated for and has items of."""
    from kcx_jax.corpora.jsonl import json_line
    from kcx_jax.schema import TASKS
    from kcx_jax.scoring import error_counts, item_errors

    for task in TASKS:
        found = item_errors(record, guess, task)
        if found:
            counts = {kind: count for kind, count in error_counts(found).items() if count}
            wrong = [error.to_json() for error in found if error.kind != "right"]
            out.write(json_line({"id": record.id, "task": task, "counts": counts, "errors": wrong}))


def _write_json(value: dict[str, Any], file: Path, overwrite: bool) -> None:
    from kcx_jax.files import atomic_write

    with atomic_write(file, overwrite=overwrite) as handle:
        json.dump(value, handle, indent=2)
        handle.write("\n")


def _resampled(
    scores: "Scores",
    gold: Path,
    against: Path | None,
    samples: int,
    ancestors: "Mapping[str, Collection[str]] | None",
) -> dict[str, dict[str, Any]]:
    """The intervals of every measure and, where there is another system, its F1 and the p-value."""
    from kcx_jax.corpora import read_records
    from kcx_jax.scoring import MODES, paired_p_value, score

    rival = None
    if against is not None:
        sides = read_records(gold, "jsonl"), read_records(against, "jsonl")
        rival = score(*sides, tuple(scores.records), scores.mode, by_record=True, ancestors=ancestors)
    found: dict[str, dict[str, Any]] = {}
    for unit, ours in scores.units.items():
        drawn = scores.intervals(unit, samples)
        found[unit] = {
            "samples": samples,
            "f1_interval_95": drawn.total,
            "macro_f1_interval_95": drawn.macro,
            "f1_interval_95_per_type": drawn.per_type,
            "f1_interval_95_per_language": drawn.per_language,
        }
        if rival is not None:
            theirs = rival.units[unit].by_record
            assert ours.by_record is not None
            assert theirs is not None
            averaging = MODES[scores.mode].averaging
            p = paired_p_value(ours.by_record, theirs, samples, averaging=averaging)
            found[unit] |= {"f1_against": rival.f1(unit), "p_value": p}
    return found


def _in_words(found: dict[str, Any]) -> str:
    low, high = found["f1_interval_95"]
    words = f"95 % interval of F1 {100 * low:.2f} to {100 * high:.2f}"
    low, high = found["macro_f1_interval_95"]
    words += f", of the mean over types {100 * low:.2f} to {100 * high:.2f}"
    if "p_value" in found:
        words += f"; the other system has {100 * found['f1_against']:.2f}, paired p = {found['p_value']:.4f}"
    return words


def _headlines(scores: "Scores") -> str:
    return ", ".join(f"{task} F1 {100 * scores.f1(task):.2f} %" for task in scores.records)


def _warn(scores: "Scores") -> None:
    """Say what was counted as empty and what could not be read to its end."""
    for task, ids in scores.missing.items():
        if ids:
            shown = ", ".join(map(ascii, ids[:_IDS_SHOWN])) + (", ..." if len(ids) > _IDS_SHOWN else "")
            count = f"{len(ids)} of {scores.records[task]} records"
            print(f"{task}: {count} have no prediction and count as empty: {shown}", file=sys.stderr)
        if scores.flagged[task]:
            print(f"{task}: {scores.flagged[task]} answers could not be read to their end", file=sys.stderr)
