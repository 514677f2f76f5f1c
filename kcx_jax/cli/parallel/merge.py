"""``kcx parallel merge``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.parallel import options
from kcx_jax.cli.parallel.pair import Overwrite


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The folders of the parts' runs.")],
    output: Annotated[Path, typer.Option(help="Where to write all pairs (JSON Lines; .gz packs them).")],
    target: options.OneTarget = None,
    overwrite: Overwrite = False,
) -> None:
    """Put the parts of a corpus (build --shard) together, and sum their bills.

    Example: kcx parallel merge runs/part-0 runs/part-1 --output en-zh.jsonl
    """
    from kcx_jax.parallel.dataset.merging import merge

    merged = merge(runs, output, target, overwrite)
    print(
        f"{merged.pairs} pairs in {output}; not in it: {merged.people} for people, {merged.pending} unfinished",
        file=sys.stderr,
    )
    if merged.absent:
        print(f"no run is part {', '.join(merged.absent)} of the corpus", file=sys.stderr)
    print(f"cost {merged.spent}", file=sys.stderr)
