"""``kcx parallel merge``."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The folders of the parts' runs.")],
    output: Annotated[Path, typer.Option(help="Where to write all pairs (JSON Lines; .gz packs them).")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")] = False,
) -> None:
    """Put the parts of a corpus (build --shard) together, and sum their bills.

    Example: kcx parallel merge runs/part-0 runs/part-1 --output en-zh.jsonl
    """
    from kcx_jax.parallel.runs.shards import merge

    merged = merge(runs, output, overwrite)
    print(
        f"{merged.pairs} pairs in {output}; not in it: {merged.people} for people, {merged.pending} unfinished",
        file=sys.stderr,
    )
    print(f"cost {merged.spent}", file=sys.stderr)
