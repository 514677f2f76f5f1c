"""``kcx parallel report``."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.bars import count_bar
from kcx_jax.cli.parallel import options


def command(
    run: options.RunFolder,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with samples.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write as text; to stdout when no file is named.")
    ] = None,
    seed: options.Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files.")] = False,
) -> None:
    """Report how faithful a run's pairs are, by stage, type, language and length, what it cost, and show samples.

    Works beside a running build and sends nothing.

    Example: kcx parallel report runs/en-zh --html report.html
    """
    from kcx_jax.files import atomic_write, refuse_existing
    from kcx_jax.parallel import Run
    from kcx_jax.parallel.report import report
    from kcx_jax.parallel.report.page import write_report_page
    from kcx_jax.parallel.report.text import as_markdown

    files = [path for path in (html, json_, markdown) if path is not None]
    for path in files:  # before the work, not after it
        refuse_existing(path, overwrite)
    with Run.open(run) as opened, count_bar(f"reading {run}") as progress:
        made = report(opened, seed, progress=progress)
    if html is not None:
        write_report_page(made, html, overwrite)
    if json_ is not None:
        with atomic_write(json_, overwrite=overwrite) as handle:
            json.dump(made, handle, indent=1)
    if markdown is not None:
        with atomic_write(markdown, overwrite=overwrite) as handle:
            handle.write(as_markdown(made))
    if not files:
        print(as_markdown(made), end="")
    for path in files:
        print(f"wrote {path}", file=sys.stderr)
