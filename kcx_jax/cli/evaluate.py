"""``kcx evaluate``: benchmarks, answered by systems, in one table; and two such runs compared."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.evaluation.runs.run import Progress


def command(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG.yaml", help="Benchmarks and systems (docs/evaluation.md)."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Change one setting, such as benchmarks.0.limit=20."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", envvar="KCX_DATA", help="Where the catalogue's benchmarks are, as DIR/NAME/..."
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Answer part I (from 0) of N; the table comes without it."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="A B", help="Two results folders, or systems in them: is B worse? Needs no config."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the report of a results folder again. Needs no config."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Of --compare: write all figures here.")
    ] = None,
) -> None:
    """Answer benchmarks with models, chat models, other systems' files and a tagger, and print one table of their F1.

    The same command goes on from where it was stopped, and asks nothing twice. --compare leaves with exit code 4 when
    B is significantly worse (paired bootstrap). Example: kcx evaluate configs/evaluate/multiconer22.yaml --data corpora
    """
    if [config, compare, report].count(None) != 2:
        raise UsageError("give either a CONFIG.yaml to run, or --compare A B, or --report DIR")
    if json_file is not None and compare is None:
        raise UsageError("--json goes with --compare; a run leaves table.json in its results folder")
    if config is None and (sets or data is not None or shard is not None):
        raise UsageError("--set, --data and --shard go with a CONFIG.yaml")
    if report is not None:
        _report(report)
        return
    if compare is not None:
        _compare(*compare, json_file)
        return
    assert config is not None
    _evaluate(config, sets or [], data, shard)


def _evaluate(path: Path, sets: list[str], data: Path | None, shard: str | None) -> None:
    from kcx_jax.cli.parallel.options import shard_of
    from kcx_jax.errors import KcxError
    from kcx_jax.evaluation.runs import evaluate, load_config
    from kcx_jax.evaluation.runs.faithfulness import is_faithfulness

    part = shard_of(shard)
    if is_faithfulness(path):
        _faithfulness(path, sets, data, shard)
        return
    config = load_config(path, sets)
    with _bar() as progress:
        outcome = evaluate(
            config,
            data=None if data is None else str(data),
            shard=part,
            say=lambda line: print(line, file=sys.stderr),
            progress=progress,
        )
    print(f"answered {outcome.answered} questions; results in {outcome.folder}", file=sys.stderr)
    if part is None:
        print(f"report: {outcome.folder / 'report.html'}", file=sys.stderr)
        print((outcome.folder / "table.md").read_text(encoding="utf-8"), end="")
    else:
        print("Without --shard the same command writes the table.", file=sys.stderr)
    if outcome.failed:
        cells = len(outcome.not_run)
        raise KcxError(f"{cells} cells were not run; above and below the table it says why")


def _report(folder: Path) -> None:
    from kcx_jax.evaluation.runs.report import write_report

    page = write_report(folder, say=lambda line: print(line, file=sys.stderr))
    print(f"wrote {page}", file=sys.stderr)


def _faithfulness(path: Path, sets: list[str], data: Path | None, shard: str | None) -> None:
    from kcx_jax.errors import KcxError
    from kcx_jax.evaluation.runs.faithfulness import load_faithfulness, measure_faithfulness

    if shard is not None:
        raise UsageError(f"{path} measures faithfulness, which has no shards: leave --shard out")
    folder, missing = measure_faithfulness(load_faithfulness(path, sets), None if data is None else str(data))
    print(f"results in {folder}", file=sys.stderr)
    print((folder / "table.md").read_text(encoding="utf-8"), end="")
    if missing:
        raise KcxError(f"{len(missing)} systems were not run; below the table it says why")


@contextmanager
def _bar() -> "Iterator[Progress]":
    """How far each system is with each benchmark, on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _compare(before: Path, after: Path, json_file: Path | None) -> None:
    from kcx_jax.cli.score_table import print_sheets
    from kcx_jax.errors import RegressionFound
    from kcx_jax.evaluation.runs.compare import (
        compare_runs,
        comparison_notes,
        comparison_sheet,
        lost_cells,
    )
    from kcx_jax.files import atomic_write, refuse_existing

    if json_file is not None:
        refuse_existing(json_file, overwrite=False, way_out="Choose another --json.")
    rows, lost = compare_runs(before, after), lost_cells(before, after)
    notes = [f"only in A: {system} on {benchmark} ({task})" for system, benchmark, task in lost]
    print_sheets([comparison_sheet(rows)], [f"A: {before}", f"B: {after}", *comparison_notes(rows), *notes])
    if json_file is not None:
        absent = [
            {"system": system, "benchmark": benchmark, "task": task, "only_in": "A", "worse": True}
            for system, benchmark, task in lost
        ]
        with atomic_write(json_file) as handle:
            json.dump([*(row.to_json() for row in rows), *absent], handle, ensure_ascii=False, indent=1)
            handle.write("\n")
    if worse := [row for row in rows if row.worse]:
        shown = ", ".join(f"{row.system} on {row.benchmark} ({row.task})" for row in worse[:5])
        raise RegressionFound(f"{len(worse)} of {len(rows)} rows are significantly worse in B: {shown}")
    if lost:
        raise RegressionFound(
            f"B has no answers to {len(lost)} of the {len(rows) + len(lost)} cells of A, which stand above as 'only in "
            "A'. Run them there, or compare single systems (RESULTS/systems/NAME)"
        )
