"""``kcx parallel review``: cases that no model resolved go to people, and their decisions come back."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.parallel import options
from kcx_jax.cli.parallel.pair import Overwrite
from kcx_jax.errors import KcxError, UsageError

app = typer.Typer(help="Give unresolved cases to people, and take their decisions.", no_args_is_help=True)

FORMATS = ("label-studio", "csv", "jsonl")
Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run that came to its end.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="label-studio, csv or jsonl; default: csv and jsonl by the file's name."),
]


@app.command()
def export(
    run: Run,
    output: Annotated[Path, typer.Option(help="The file to write.")],
    format_: Format = None,
    target: options.OneTarget = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the cases that nobody decided yet, or whose record was changed since, with the drafts of the models.

    Of label-studio the labelling interface is written beside OUTPUT, as .xml.
    Example: kcx parallel review export runs/en-zh --output tasks.json
    """
    from kcx_jax.parallel import Run
    from kcx_jax.parallel.review.candidates import with_candidates
    from kcx_jax.parallel.review.cases import cases
    from kcx_jax.parallel.review.finished import standing_decisions
    from kcx_jax.parallel.review.label_studio import write_tasks
    from kcx_jax.parallel.review.sheets import write_lines, write_table

    format_ = _format(format_, output)
    with Run.open(run) as opened:
        language = opened.one_target(target)
        decided = {id for id, of in standing_decisions(opened) if of == language}
        undecided = (case for case in cases(opened, language) if case.record.id not in decided)
        found = with_candidates(opened, language, undecided)
    if format_ == "csv":
        count = write_table(found, output, overwrite)
    elif format_ == "jsonl":
        count = write_lines(found, language, output, overwrite)
    else:
        count = write_tasks(found, language, output, overwrite)
    print(f"{count} cases in {output}; decided already: {len(decided)}", file=sys.stderr)


@app.command("import")
def import_(
    run: Run,
    file: Annotated[Path, typer.Argument(help="What people filled in, or Label Studio exported (JSON).")],
    format_: Format = None,
    target: options.OneTarget = None,
) -> None:
    """Take decisions, each checked as a model's reply is; what was taken before is not taken again.

    `kcx parallel export` then has their pairs. Example: kcx parallel review import runs/en-zh export.json
    """
    from kcx_jax.llm import Ledger
    from kcx_jax.page import visible
    from kcx_jax.parallel import LEDGER, Run
    from kcx_jax.parallel.review.cases import cases
    from kcx_jax.parallel.review.decisions import take_decisions
    from kcx_jax.parallel.review.label_studio import read_tasks
    from kcx_jax.parallel.review.sheets import read_lines, read_table

    format_ = _format(format_, file)
    with Run.open(run) as opened:
        language = opened.one_target(target)
        records = {case.record.id: case.record for case in cases(opened, language)}
    decisions = {"csv": read_table, "jsonl": read_lines}.get(format_, read_tasks)(file)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with Ledger(run / LEDGER) as ledger:
        taken = take_decisions(ledger, records, language, decisions, now)
    print(f"{taken.new} decisions taken, {taken.known} were there already", file=sys.stderr)
    for unusable in taken.refused:
        print(visible(f"refused: {unusable.id}: {unusable.reason}"), file=sys.stderr)
    if taken.refused:
        raise KcxError(
            f"{len(taken.refused)} decisions of {file} were refused. Mend them and import it again."
        )


def _format(given: str | None, path: Path) -> str:
    """The format that was given, or else the one that the file's name says."""
    if given is None:
        ending = path.suffix.removeprefix(".").lower()
        return ending if ending in FORMATS else FORMATS[0]
    if given not in FORMATS:
        raise UsageError(f"unknown format {given!r}; known: {', '.join(FORMATS)}")
    return given
