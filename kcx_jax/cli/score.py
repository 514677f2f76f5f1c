"""``kcx score``: predicted records against gold ones."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kcx_jax.scoring import Scores

_IDS_SHOWN = 5


def command(
    gold: Annotated[Path, typer.Option(metavar="GOLD.jsonl", help="The gold records.")],
    predicted: Annotated[Path, typer.Option(metavar="PRED.jsonl", help="The predicted records.")],
    mode: Annotated[str, typer.Option(help="How to count; an unknown name lists them all.")] = "strict",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures and counts here.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Score predictions, joined to gold by id: precision, recall and F1 for each task gold is annotated for.

    Example: kcx score --gold test.jsonl --predicted answers.jsonl --json scores.json
    """
    from kcx_jax.corpora import read_records
    from kcx_jax.files import atomic_write, refuse_existing
    from kcx_jax.scoring import score

    if json_file is not None:
        refuse_existing(json_file, overwrite)
    scores = score(read_records(gold, "jsonl"), read_records(predicted, "jsonl"), mode=mode)
    if json_file is not None:
        with atomic_write(json_file, overwrite=overwrite) as handle:
            json.dump(scores.to_json(), handle, indent=2)
            handle.write("\n")
    _warn(scores)
    _print(scores)


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
