"""``kcx score``: predicted records against gold ones."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kcx_jax.corpora import Record
    from kcx_jax.scoring import Scores

_IDS_SHOWN = 5


class Format(StrEnum):
    """How scores are printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"


def command(
    gold: Annotated[Path, typer.Option(metavar="GOLD.jsonl", help="The gold records.")],
    predicted: Annotated[Path, typer.Option(metavar="PRED.jsonl", help="The predicted records.")],
    mode: Annotated[str, typer.Option(help="How to count; an unknown name lists them all.")] = "strict",
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Score predictions, joined to gold by id: precision, recall and F1 for each task gold is annotated for.

    Example: kcx score --gold test.jsonl --predicted answers.jsonl --json scores.json
    """
    from kcx_jax.corpora import read_records
    from kcx_jax.errors import UsageError
    from kcx_jax.files import atomic_write, refuse_existing
    from kcx_jax.scoring import latex, markdown, score

    if json_file is not None:
        refuse_existing(json_file, overwrite)
    if against is not None and not samples:
        raise UsageError("--against needs --samples, such as --samples 1000")
    wanted, given = list(read_records(gold, "jsonl")), list(read_records(predicted, "jsonl"))
    other = list(read_records(against, "jsonl")) if against is not None else None
    scores = score(wanted, given, mode=mode)
    value = scores.to_json()
    beside = score(wanted, given, mode="text") if mode == "strict" else None
    if beside is not None:
        value["text"] = beside.to_json()
    if samples:
        value["resampling"] = _resampled(scores, (wanted, given, other), samples)
    if json_file is not None:
        with atomic_write(json_file, overwrite=overwrite) as handle:
            json.dump(value, handle, indent=2)
            handle.write("\n")
    _warn(scores)
    if format is Format.TABLE:
        _print(scores)
    else:
        print((markdown if format is Format.MARKDOWN else latex)(scores), end="")
        return
    if beside is not None:
        print("text mode, beside it: " + _headlines(beside))
    for unit, found in value.get("resampling", {}).items():
        print(f"{unit}: " + _in_words(found))


def _resampled(
    scores: "Scores", sides: tuple[list["Record"], list["Record"], list["Record"] | None], samples: int
) -> dict[str, dict[str, Any]]:
    """The interval of every measure's F1 and, where there is another system, its F1 and the p-value."""
    from kcx_jax.scoring import counts_by_record, f1_interval, paired_p_value, score

    gold, predicted, other = sides
    rival = score(gold, other, tuple(scores.records), scores.mode) if other is not None else None
    found: dict[str, dict[str, Any]] = {}
    for unit in scores.units:
        ours = counts_by_record(gold, predicted, unit, scores.mode)
        found[unit] = {"samples": samples, "f1_interval_95": f1_interval(ours, samples)}
        if rival is not None and other is not None:
            theirs = counts_by_record(gold, other, unit, scores.mode)
            found[unit] |= {"f1_against": rival.f1(unit), "p_value": paired_p_value(ours, theirs, samples)}
    return found


def _in_words(found: dict[str, Any]) -> str:
    low, high = found["f1_interval_95"]
    words = f"95 % interval of F1 {100 * low:.2f} to {100 * high:.2f}"
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


def _print(scores: "Scores") -> None:
    """Two tables: every measure with its definition, and the headline measures by type."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kcx_jax.cli.spans import shown

    figures = ("P %", "R %", "F1 %", "right", "wrong", "missed")
    totals, types = Table("measure", *figures, "what is counted"), Table("measure", "type", *figures)
    for name, label, counts, definition in scores.table():
        percent = [f"{100 * x:.2f}" for x in (counts.precision, counts.recall, counts.f1)]
        row = [*percent, str(counts.tp), str(counts.fp), str(counts.fn)]
        if not label:
            totals.add_row(name, *row, definition)
        elif name in scores.records:  # a task's name is its headline measure
            types.add_row(name, Text(shown(label)), *row)
    console = Console(highlight=False)
    console.print(totals)
    if types.row_count:
        console.print(types)
    console.print(f"{scores.mode}: {scores.definition}")
