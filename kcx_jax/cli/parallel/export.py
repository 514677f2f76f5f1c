"""``kcx parallel export``: the pairs of a run, or of a file, for those who use them."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kcx_jax.cli.parallel import options
from kcx_jax.cli.parallel.pair import Against, Overwrite, refuse_tests
from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.corpora import ParallelRecord

FORMATS = ("jsonl", "parquet", "conll", "samples")


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN|PAIRS", help="The folder of a run, or a file of pairs.")
    ],
    output: Annotated[Path, typer.Option(help="The file to write (gzip: .gz); for parquet a folder.")],
    format_: Annotated[str, typer.Option("--format", help="jsonl, parquet, conll or samples.")] = "jsonl",
    target: options.OneTarget = None,
    side: Annotated[str, typer.Option(help="Of conll: source or target.")] = "target",
    directions: Annotated[str, typer.Option(help="forward, or both: each pair reversed too.")] = "forward",
    schema: Annotated[Path | None, typer.Option(help="Of samples: the schema they show.")] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Of samples: ner, re, ed or eae; again for more.")
    ] = None,
    catalogue_entry: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of parquet: a corpus the pairs were made from, for the card."),
    ] = None,
    against: Against = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Of conll: leave out, and count, what it cannot hold.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the pairs a run has so far, made anew from its ledger, and those that people made; sends nothing.

    jsonl is what `kcx train` reads; parquet is a Hugging Face dataset with its card (extra hub); conll is one side;
    samples are the prompts and answers of stage 1.

    Example: kcx parallel export runs/en-zh --output en-zh --format parquet --catalogue-entry wikineural
    """
    from kcx_jax.corpora import read_parallel, write_parallel, write_records
    from kcx_jax.corpora.catalogue import find_benchmark
    from kcx_jax.corpora.jsonl import write_json_lines
    from kcx_jax.parallel import Run
    from kcx_jax.parallel.dataset.directions import directed
    from kcx_jax.parallel.dataset.huggingface import write_dataset
    from kcx_jax.parallel.dataset.samples import samples
    from kcx_jax.parallel.review.finished import finished_pairs, left_over

    _check(format_, side, schema, task)
    sources = [find_benchmark(name) for name in catalogue_entry or ()]
    with ExitStack() as stack:
        opened = stack.enter_context(Run.open(run)) if run.is_dir() or not run.exists() else None
        language = opened.one_target(target) if opened else target

        def pairs() -> "Iterator[ParallelRecord]":
            found = finished_pairs(opened) if opened else read_parallel(run)
            return directed((pair for pair in found if language in (None, pair.target.language)), directions)

        refuse_tests(pairs, against)
        lost: Counter[str] = Counter()
        if format_ == "jsonl":
            count = write_parallel(pairs(), output, overwrite)
        elif format_ == "parquet":
            count = write_dataset(
                list(pairs()), output, opened.digest() if opened else None, sources, overwrite
            )
        elif format_ == "conll":
            records = (getattr(pair, side) for pair in pairs())
            count = write_records(
                records, output, overwrite, writer="conll", allow_loss=allow_loss, lost=lost
            )
        else:
            count = write_json_lines(samples(pairs(), *_shown(schema, task)), output, overwrite)
        left = (
            "; not in it: {} for people, {} unfinished".format(*left_over(opened, opened.one_target(target)))
            if opened
            else ""
        )
    print(f"{count} {'samples' if format_ == 'samples' else 'pairs'} in {output}{left}", file=sys.stderr)
    for kind, number in lost.items():
        print(f"left out, as {format_} cannot hold it: {number} {kind}", file=sys.stderr)


def _check(format_: str, side: str, schema: Path | None, task: list[str] | None) -> None:
    from kcx_jax.schema import TASKS

    if format_ not in FORMATS:
        raise UsageError(f"unknown format {format_!r}; known: {', '.join(FORMATS)}")
    if side not in ("source", "target"):
        raise UsageError(f"unknown side {side!r}; known: source, target")
    if format_ == "samples" and schema is None:
        raise UsageError("samples show a schema; name it with --schema FILE")
    for name in task or ():
        if name not in TASKS:
            raise UsageError(f"unknown task {name!r}; known: {', '.join(TASKS)}")


def _shown(schema: Path | None, task: list[str] | None) -> tuple[Any, Any]:
    from kcx_jax.schema import load_schema

    assert schema is not None  # `_check`
    return load_schema(schema), task or ["ner"]
