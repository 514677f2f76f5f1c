"""``kcx parallel export``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.parallel import options


def command(
    run: options.RunFolder,
    output: Annotated[Path, typer.Option(help="Where to write the pairs (JSON Lines; .gz packs them).")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")] = False,
) -> None:
    """Write the pairs a run has so far; sends nothing.

    Example: kcx parallel export runs/en-zh --output en-zh.jsonl
    """
    from kcx_jax.corpora import write_parallel
    from kcx_jax.parallel import Run

    with Run.open(run) as opened:
        count = write_parallel(opened.pairs(), output, overwrite=overwrite)
        people = sum(1 for _ in opened.unresolved())
        left = sum(1 for _ in opened.pending())
    print(f"{count} pairs in {output}; not in it: {people} for people, {left} unfinished", file=sys.stderr)
